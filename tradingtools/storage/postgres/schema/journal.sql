-- The write-ahead journal of the hot window (docs/adr/0003-journal-before-rows.md).

-- CLAIMED: one record per leader trade, partition and part, with all orders and decisions.
-- SUBMITTING: one record per batch and attempt. Rows are built from it behind the POSTs.
create table journal (
    seq           bigint primary key default log_number(),
    kind          text not null check (kind in ('CLAIMED', 'SUBMITTING')),
    role          text not null check (role in ('router', 'guard', 'executor')),
    record_key    text not null unique,
    partition     integer not null,
    epoch         bigint not null,
    payload       bytea not null,
    order_count   integer not null,
    committed_at  timestamptz not null default clock_timestamp(),
    rows_built_at timestamptz,
    -- Why its rows cannot be built; a person has to look.
    set_aside     text,
    -- What finds the keys of a SUBMITTING record without parsing its payload: 8 bytes a key. Two keys
    -- with one hash do no harm: rows are built a little earlier, and the rows decide.
    key_hashes    bigint[],
    -- The orders of a record that is set aside, as far as they can be read.
    aside_keys    text[]
);
alter table journal alter column payload set storage external;
-- Hashes do not compress, and trying costs more than storing them.
alter table journal alter column key_hashes set storage external;
-- A claim of many followers shrinks to a seventh, and lz4 takes a third of pglz's time for it. A
-- server built without lz4 keeps pglz.
do $$
begin
    alter table journal alter column payload set compression lz4;
exception when feature_not_supported then
    null;
end $$;
create index journal_open on journal (partition, seq)
    where rows_built_at is null and set_aside is null;
create index journal_set_aside on journal (seq) where set_aside is not null;
-- Where a writer's tail of claims starts; without it the whole journal is read for one that has not
-- claimed for long.
create index journal_claimed on journal (role, partition, seq) where kind = 'CLAIMED';

create function key_hashes(p_keys text[]) returns bigint[] language sql immutable as $$
    select array(select hashtextextended(key, 0) from unnest(p_keys) k(key))
$$;

create function keys_of(p_payload bytea) returns text[] language plpgsql as $$
begin
    return array(select e->>'order_key'
                 from json_array_elements(convert_from(p_payload, 'UTF8')::json -> 'orders') e);
exception when others then
    return '{}';
end $$;

-- Leave a record to a person. What a SUBMITTING record names becomes SUBMITTING where it can, one by
-- one: then the fence finds it, insiders-api is asked, and nobody takes it for unsent.
create function set_aside_record(p_seq bigint, p_reason text) returns void language plpgsql as $$
declare
    v_record journal%rowtype;
    v_key text;
begin
    update journal set set_aside = p_reason, aside_keys = keys_of(payload)
    where seq = p_seq returning * into v_record;
    if v_record.kind is distinct from 'SUBMITTING' then
        return;
    end if;
    foreach v_key in array v_record.aside_keys loop
        begin
            -- An answer may still be on its way to whoever sent it.
            perform apply_transitions(jsonb_build_array(jsonb_build_object(
                'order_key', v_key, 'from_state', 'CLAIMED', 'to_state', 'SUBMITTING',
                'expected_epoch', 0, 'epoch', 1, 'attempt', 1, 'lease_ms', 15000,
                'submitting_ns',
                (extract(epoch from v_record.committed_at) * 1000000)::bigint * 1000)));
        exception when others then
            raise warning 'order % of record % stays as it is: %', v_key, p_seq, sqlerrm;
        end;
    end loop;
end $$;

-- Turn one journal record into rows. Idempotent; false: they were there already. A submission of
-- orders that have no row is not built: their claim was set aside, and "built" would forget that they
-- may have been sent.
create function build_rows(p_seq bigint) returns boolean language plpgsql as $$
declare
    v_record journal%rowtype;
    v_payload json;
    v_orphan text;
begin
    select * into v_record from journal where seq = p_seq and rows_built_at is null for update;
    if not found then
        return false;
    end if;
    v_payload := convert_from(v_record.payload, 'UTF8')::json;
    if v_record.kind = 'CLAIMED' then
        perform build_claimed(p_seq, v_record.partition, v_payload);
    else
        select e->>'order_key' into v_orphan from json_array_elements(v_payload->'orders') e
        where not exists (select 1 from orders o where o.order_key = e->>'order_key') limit 1;
        if found then
            raise exception 'order % was submitted and has no row', v_orphan
                using errcode = 'foreign_key_violation';
        end if;
        perform apply_transitions(coalesce((
            select jsonb_agg(jsonb_build_object(
                'order_key', e->>'order_key', 'from_state', 'CLAIMED', 'to_state', 'SUBMITTING',
                'expected_epoch', (e->>'epoch')::bigint - 1, 'epoch', (e->>'epoch')::bigint,
                'attempt', 1, 'lease_ms', v_payload->>'lease_ms',
                'submitting_ns', (extract(epoch from v_record.committed_at) * 1000000)::bigint * 1000))
            from json_array_elements(v_payload->'orders') e), '[]'::jsonb));
    end if;
    update journal set rows_built_at = clock_timestamp() where seq = p_seq;
    return true;
end $$;

-- A claim with its rows: the reservation of an exit has to be there before the lock of its lot is let
-- go. Raises no_data_found: the lease is not held; unique_violation: the record is there already.
create function claim_and_build(
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

-- Invariant I5, asked by the far side at each POST: is it durable that these bytes may leave?
create function submitting_committed(p_order_key text, p_body_hash text)
returns boolean language sql as $$
    select exists (
        select 1 from orders
        where order_key = p_order_key and body_hash = p_body_hash and attempt >= 1
    ) or exists (
        select 1 from journal j,
             json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
        where j.kind = 'SUBMITTING' and j.rows_built_at is null
          and e->>'order_key' = p_order_key and e->>'body_hash' = p_body_hash
    )
$$;
