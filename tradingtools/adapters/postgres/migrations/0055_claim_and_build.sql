-- A claim whose rows nobody waits to build later: the reservation of an exit has to be there before
-- the lock of its lot is let go. One call, since each costs a round trip before the exit may leave.
-- No row: the lease is not held, or the record is there already.
create function claim_and_build(
    p_role text, p_record_key text, p_partition integer, p_epoch bigint, p_payload bytea,
    p_order_count integer
) returns table (seq bigint, claimed_ns bigint) language plpgsql as $$
begin
    if not holds_lease(p_role, p_partition, p_epoch) then
        return;
    end if;
    insert into journal (kind, role, record_key, partition, epoch, payload, order_count)
    values ('CLAIMED', p_role, p_record_key, p_partition, p_epoch, p_payload, p_order_count)
    on conflict (record_key) do nothing
    returning journal.seq, (extract(epoch from committed_at) * 1000000)::bigint * 1000
    into seq, claimed_ns;
    if seq is not null then
        perform build_rows(seq);
        return next;
    end if;
end $$;
