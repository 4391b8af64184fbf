-- What an exit writes travels with its COMMIT: nobody reads the answers before it. So whatever must
-- not be committed has to fail as a statement.

-- A claim with its rows: the reservation of an exit has to be there before the lock of its lot is let
-- go. Raises no_data_found: the lease is not held; unique_violation: the record is there already.
create or replace function claim_and_build(
    p_role text, p_record_key text, p_partition integer, p_epoch bigint, p_payload bytea,
    p_order_count integer
) returns table (seq bigint, claimed_ns bigint) language plpgsql as $$
begin
    if not holds_lease(p_role, p_partition, p_epoch) then
        raise no_data_found
            using message = format('the lease of %s %s has run out', p_role, p_partition);
    end if;
    insert into journal (kind, role, record_key, partition, epoch, payload, order_count,
                         rows_built_at)
    values ('CLAIMED', p_role, p_record_key, p_partition, p_epoch, p_payload, p_order_count,
            clock_timestamp())
    on conflict (record_key) do nothing
    returning journal.seq, (extract(epoch from committed_at) * 1000000)::bigint * 1000
    into seq, claimed_ns;
    if seq is null then
        raise unique_violation using message = format('record %s is there already', p_record_key);
    end if;
    perform build_claimed(seq, p_partition, convert_from(p_payload, 'UTF8')::json);
    return next;
end $$;

-- For a statement that changes locked rows: raises where one of them was not as it was locked.
create function as_locked(p_asked text, p_changed text) returns boolean language plpgsql as $$
begin
    if p_changed is null then
        raise exception '% changed under its lock', p_asked;
    end if;
    return true;
end $$;
