-- What a record that cannot become rows means for the orders it names: they may have been sent.
-- depends: 0022_send_again 0031_leader_left

-- The orders of a record that is set aside, as far as they can be read: nobody parses a payload again
-- that was set aside because it cannot be parsed.
alter table journal add column aside_keys text[];

create function keys_of(p_payload bytea) returns text[] language plpgsql as $$
begin
    return array(select e->>'order_key'
                 from json_array_elements(convert_from(p_payload, 'UTF8')::json -> 'orders') e);
exception when others then
    return '{}';
end $$;

update journal set aside_keys = keys_of(payload) where set_aside is not null;

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
create or replace function build_rows(p_seq bigint) returns boolean language plpgsql as $$
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

-- Why each of these orders may not be sent now; no row: it may.
create or replace function denials(
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
) returns table (order_key text, reason text) language sql as $$
    with handled as (
        select k.order_key from unnest(p_keys) k(order_key)
        join orders o on o.order_key = k.order_key
        where o.state <> 'CLAIMED'
        union
        -- It has no row to be accounted for in, or it may have been sent.
        select a.order_key from journal j, unnest(j.aside_keys) a(order_key)
        where j.set_aside is not null and a.order_key = any(p_keys)
    )
    select h.order_key, 'HANDLED_BEFORE' from handled h
    union all
    select b.order_key, b.reason
    from held_back(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets, p_leaders,
                   p_conditions, p_not_afters) b
    where not exists (select 1 from handled h where h.order_key = b.order_key)
$$;

-- Fail those of these entries that are still CLAIMED. Provably nothing of them was sent: no
-- SUBMITTING commit of the partition happens until this transaction ends, and afterwards it finds
-- them FAILED. What a record that was set aside names may have been sent, and stays.
create or replace function leader_left(p_partition integer, p_keys text[])
returns table (order_key text) language plpgsql as $$
begin
    perform lock_submitting(p_partition);
    perform build_rows(j.seq)
    from (select seq from journal
          where partition = p_partition and rows_built_at is null and set_aside is null
          order by seq) j;
    return query
    select t.order_key from apply_transitions((
        select coalesce(jsonb_agg(jsonb_build_object(
            'order_key', o.order_key, 'from_state', 'CLAIMED', 'to_state', 'FAILED',
            'expected_epoch', o.epoch, 'failed_kind', 'UNSENT', 'reason', 'LEADER_LEFT')),
            '[]'::jsonb)
        from orders o
        where o.order_key = any(p_keys) and o.state = 'CLAIMED' and o.purpose = 'ENTRY'
          and not exists (
              select 1 from journal j
              where j.set_aside is not null and o.order_key = any(j.aside_keys))
    )) t;
end $$;
