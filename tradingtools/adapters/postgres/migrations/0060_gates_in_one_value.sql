-- What the gates are asked about comes as one value that is only read when something may be denied.
-- Eight arrays of a hundred orders took the executor 1.5 ms to write, before each SUBMITTING commit.
-- depends: 0020_submitting_once 0024_set_aside

drop function submit_batch(text, integer, bigint, bytea, bigint, text[], text[], text[], bigint[],
                           text[], text[], text[], bigint[]);

-- Make a batch durable as SUBMITTING, or say why not.
-- p_not_after: the earliest of its orders, milliseconds. p_orders: for the gates, JSON, an object of
-- order_key, purpose, subscription_id, version, wallet, leader, condition_id, not_after_ms for each.
-- {"seq": n} | {"fenced": true} | {"duplicate": true} | {"denied": {order_key: reason}}
create function submit_batch(
    p_record_key text, p_partition integer, p_epoch bigint, p_payload bytea,
    p_control_seq bigint, p_keys text[], p_not_after bigint, p_orders text
) returns jsonb language plpgsql as $$
declare
    v_denied jsonb;
    v_seq bigint;
    v_open bigint;
    v_hashes bigint[] := key_hashes(p_keys);
begin
    perform lock_control_shared();
    perform lock_submitting(p_partition);
    if not holds_lease('executor', p_partition, p_epoch) then
        return jsonb_build_object('fenced', true);
    end if;
    -- A key that an open record has already becomes a row, in the order of the records, and is then
    -- refused below like any other row that is not CLAIMED any more.
    select max(j.seq) into v_open
    from journal j
    where j.partition = p_partition and j.kind = 'SUBMITTING'
      and j.rows_built_at is null and j.set_aside is null
      and exists (select unnest(j.key_hashes) intersect select unnest(v_hashes));
    if v_open is not null then
        perform build_rows(j.seq)
        from (select seq from journal
              where partition = p_partition and seq <= v_open
                and rows_built_at is null and set_aside is null
              order by seq) j;
    end if;
    -- The cheap question first: nothing halted, nothing changed since, nothing too old.
    if exists (select 1 from halt)
       or exists (select 1 from control_change
                  where seq > p_control_seq and subject_kind = 'subscription')
       or p_not_after <= extract(epoch from clock_timestamp()) * 1000
       or exists (select 1 from orders o
                  where o.order_key = any(p_keys) and o.state <> 'CLAIMED')
       or exists (select 1 from journal where set_aside is not null) then
        select jsonb_object_agg(d.order_key, d.reason) into v_denied
        from (select array_agg(order_key) as keys, array_agg(purpose) as purposes,
                     array_agg(subscription_id) as subscriptions, array_agg(version) as versions,
                     array_agg(wallet) as wallets, array_agg(leader) as leaders,
                     array_agg(condition_id) as conditions, array_agg(not_after_ms) as not_afters
              from json_to_recordset(p_orders::json) as t(
                  order_key text, purpose text, subscription_id text, version bigint, wallet text,
                  leader text, condition_id text, not_after_ms bigint)) o,
             denials(o.keys, o.purposes, o.subscriptions, o.versions, o.wallets, o.leaders,
                     o.conditions, o.not_afters) d;
        if v_denied is not null then
            return jsonb_build_object('denied', v_denied);
        end if;
    end if;
    insert into journal (kind, role, record_key, partition, epoch, payload, order_count,
                         key_hashes)
    values ('SUBMITTING', 'executor', p_record_key, p_partition, p_epoch, p_payload,
            cardinality(p_keys), v_hashes)
    on conflict (record_key) do nothing
    returning seq into v_seq;
    if v_seq is null then
        return jsonb_build_object('duplicate', true);
    end if;
    return jsonb_build_object('seq', v_seq);
end $$;
