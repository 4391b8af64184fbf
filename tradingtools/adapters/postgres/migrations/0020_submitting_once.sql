-- An order is in one SUBMITTING record of an attempt, not only a batch: two batches that share a key
-- but not all keys have different record keys, and both could be committed.
-- depends: 0010_control

-- What finds the keys of a SUBMITTING record without parsing its payload: 8 bytes a key. Two keys
-- with one hash do no harm: rows are built a little earlier, and the rows decide.
alter table journal add column key_hashes bigint[];
-- Hashes do not compress, and trying costs more than storing them.
alter table journal alter column key_hashes set storage external;

create function key_hashes(p_keys text[]) returns bigint[] language sql immutable as $$
    select array(select hashtextextended(key, 0) from unnest(p_keys) k(key))
$$;

update journal j set key_hashes = key_hashes(array(
    select e->>'order_key'
    from json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e))
where j.kind = 'SUBMITTING' and j.rows_built_at is null;

-- One SUBMITTING commit of a partition at a time: the second sees the record of the first.
create function lock_submitting(p_partition integer) returns void language sql as
$$ select pg_advisory_xact_lock(7305002, p_partition) $$;

-- Make a batch durable as SUBMITTING, or say why not.
-- {"seq": n} | {"fenced": true} | {"duplicate": true} | {"denied": {order_key: reason}}
create or replace function submit_batch(
    p_record_key text, p_partition integer, p_epoch bigint, p_payload bytea,
    p_control_seq bigint,
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
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
       or (select min(t) from unnest(p_not_afters) t)
          <= extract(epoch from clock_timestamp()) * 1000
       or exists (select 1 from orders o
                  where o.order_key = any(p_keys) and o.state <> 'CLAIMED')
       or exists (select 1 from journal where set_aside is not null) then
        select jsonb_object_agg(d.order_key, d.reason) into v_denied
        from denials(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets, p_leaders,
                     p_conditions, p_not_afters) d;
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
