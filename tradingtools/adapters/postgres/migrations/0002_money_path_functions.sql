-- The statements of the money path that must see a fresh snapshot after a lock, or that several
-- processes share. plpgsql functions are VOLATILE: each statement inside takes its own snapshot.
-- depends: 0001_journal_and_rows

-- Shared by every SUBMITTING commit, exclusive for pause, halt and every other control change:
-- when a pause has been acknowledged, no SUBMITTING that it forbids can commit any more.
create function lock_control_shared() returns void language sql as
$$ select pg_advisory_xact_lock_shared(7305001) $$;
create function lock_control_exclusive() returns void language sql as
$$ select pg_advisory_xact_lock(7305001) $$;

-- Whether an owner may write; the row stays locked until its transaction ends, so that a takeover
-- waits for what the old owner is just committing, and then finds it.
create function holds_lease(p_role text, p_partition integer, p_epoch bigint)
returns boolean language plpgsql as $$
begin
    perform 1 from partition_lease
    where role = p_role and partition = p_partition and epoch = p_epoch
      and expires_at > clock_timestamp()
    for share;
    return found;
end $$;

-- Why each of these orders may not be sent now; no row: it may.
create function denials(
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
) returns table (order_key text, reason text) language sql as $$
    with o as (
        select * from unnest(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets,
                             p_leaders, p_conditions, p_not_afters)
            as t(order_key, purpose, subscription_id, version, wallet, leader, condition_id,
                 not_after_ms)
    ), aside as (
        -- Durable as SUBMITTING, and its rows could not be built: it may have been sent.
        select e->>'order_key' as order_key
        from journal j, json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
        where j.set_aside is not null and j.kind = 'SUBMITTING'
    ), held as (
        select o.order_key, max(h.mode) filter (where h.mode = 'HALTED') as halted,
               bool_or(h.mode = 'REDUCING') as reducing
        from o join halt h
          on h.scope = 'GLOBAL'
          or (h.scope = 'WALLET' and h.subject = o.wallet)
          or (h.scope = 'LEADER' and h.subject = o.leader)
          or (h.scope = 'MARKET' and h.subject = o.condition_id)
        group by o.order_key
    )
    select o.order_key,
           case
               when handled.state <> 'CLAIMED' or aside.order_key is not null
                   then 'HANDLED_BEFORE'
               when o.not_after_ms <= extract(epoch from clock_timestamp()) * 1000 then 'EXPIRED'
               when held.halted is not null then 'HALTED'
               when o.purpose = 'ENTRY' and held.reducing then 'HALTED'
               when o.purpose = 'ENTRY' and s.state is distinct from 'ACTIVE' then 'PAUSED'
               when o.purpose = 'ENTRY' and s.version <> o.version then 'SUBSCRIPTION_CHANGED'
           end as reason
    from o
    left join held on held.order_key = o.order_key
    left join subscription s on s.id = o.subscription_id
    left join orders handled on handled.order_key = o.order_key
    left join aside on aside.order_key = o.order_key
    where handled.state <> 'CLAIMED'
       or aside.order_key is not null
       or o.not_after_ms <= extract(epoch from clock_timestamp()) * 1000
       or held.halted is not null
       or (o.purpose = 'ENTRY'
           and (held.reducing or s.state is distinct from 'ACTIVE' or s.version <> o.version))
$$;

-- Make a batch durable as SUBMITTING, or say why not.
-- {"seq": n} | {"fenced": true} | {"duplicate": true} | {"denied": {order_key: reason}}
create function submit_batch(
    p_record_key text, p_partition integer, p_epoch bigint, p_payload bytea,
    p_control_seq bigint,
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
) returns jsonb language plpgsql as $$
declare
    v_denied jsonb;
    v_seq bigint;
begin
    perform lock_control_shared();
    if not holds_lease('executor', p_partition, p_epoch) then
        return jsonb_build_object('fenced', true);
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
    insert into journal (kind, role, record_key, partition, epoch, payload, order_count)
    values ('SUBMITTING', 'executor', p_record_key, p_partition, p_epoch, p_payload,
            cardinality(p_keys))
    on conflict (record_key) do nothing
    returning seq into v_seq;
    if v_seq is null then
        return jsonb_build_object('duplicate', true);
    end if;
    return jsonb_build_object('seq', v_seq);
end $$;

-- Each element is one compare-and-set on (order, from_state, expected_epoch); the keys that
-- changed come back. A key that does not come back is not the caller's any more.
create function apply_transitions(p_transitions jsonb)
returns table (order_key text, event_seq bigint) language sql as $$
    with instant as materialized (select clock_timestamp() as at),
    input as (
        select * from jsonb_to_recordset(p_transitions) as t(
            order_key text, from_state text, to_state text, expected_epoch bigint, epoch bigint,
            attempt integer, reason text, failed_kind text, venue_order_id text,
            lease_ms integer, next_check_ms integer, not_found_count integer,
            submitting_ns bigint, first_byte_ns bigint, answered_ns bigint,
            confirmed_ns bigint, detail text)
    ),
    changed as (
        update orders o set
            state = i.to_state,
            epoch = coalesce(i.epoch, o.epoch),
            attempt = coalesce(i.attempt, o.attempt),
            reason = coalesce(i.reason, ''),
            failed_kind = i.failed_kind,
            venue_order_id = coalesce(i.venue_order_id, o.venue_order_id),
            lease_until = instant.at + make_interval(secs => i.lease_ms / 1000.0),
            next_check_at = instant.at + make_interval(secs => i.next_check_ms / 1000.0),
            not_found_count = coalesce(i.not_found_count, 0),
            submitting_ns = coalesce(i.submitting_ns, o.submitting_ns),
            first_byte_ns = coalesce(i.first_byte_ns, o.first_byte_ns),
            answered_ns = coalesce(i.answered_ns, o.answered_ns),
            confirmed_ns = coalesce(i.confirmed_ns, o.confirmed_ns),
            chain_head = sha256(o.chain_head || convert_to(concat_ws('|', i.from_state, i.to_state,
                coalesce(i.reason, ''), coalesce(i.epoch, o.epoch),
                (extract(epoch from instant.at) * 1000000)::bigint), 'UTF8'))
        from input i, instant
        where o.order_key = i.order_key and o.state = i.from_state
          and o.epoch = i.expected_epoch
        returning o.order_key, i.from_state, o.state as to_state, o.reason, o.epoch,
                  i.detail, o.chain_head
    ),
    noted as (
        insert into order_event (order_key, from_state, to_state, reason, epoch, occurred_at,
                                 detail, hash)
        select c.order_key, c.from_state, c.to_state, c.reason, c.epoch, instant.at,
               convert_to(c.detail, 'UTF8'), c.chain_head
        from changed c, instant
        returning order_key, event_seq
    ),
    released as (
        update reservation r set released_at = clock_timestamp()
        from changed c
        where r.order_key = c.order_key and r.released_at is null
          and c.to_state in ('CONFIRMED', 'FAILED', 'LOST')
    )
    select order_key, event_seq from noted order by event_seq
$$;

-- Turn one journal record into rows. Idempotent; false: they were there already.
create function build_rows(p_seq bigint) returns boolean language plpgsql as $$
declare
    v_record journal%rowtype;
    v_payload json;
begin
    select * into v_record from journal where seq = p_seq and rows_built_at is null for update;
    if not found then
        return false;
    end if;
    v_payload := convert_from(v_record.payload, 'UTF8')::json;
    if v_record.kind = 'CLAIMED' then
        perform build_claimed(p_seq, v_record.partition, v_payload);
    else
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

create function build_claimed(p_seq bigint, p_partition integer, p_payload json)
returns void language sql as $$
    with input as (
        select * from json_to_recordset(p_payload->'orders') as t(
            order_key text, copy_key text, ordinal integer, purpose text, subscription_id text,
            subscription_version bigint, trigger_id text, follower_user_id text,
            follower_wallet_id text, follower_proxy text, leader text, leader_tx text,
            condition_id text, asset_id text, side text, size_micros bigint, limit_micros bigint,
            time_in_force text, not_after_ms bigint, body text, body_hash text,
            reserved_money_micros bigint, reserved_shares_micros bigint, control_seq bigint,
            traceparent text, received_ns bigint, routed_ns bigint)
    ),
    claimed as (
        insert into orders (
            order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
            trigger_id, follower_user_id, follower_wallet_id, follower_proxy, partition, leader,
            leader_tx, condition_id, asset_id, side, size_micros, limit_micros, time_in_force,
            not_after_ms, body, body_hash, journal_seq, control_seq, state, traceparent,
            received_ns, routed_ns, claimed_ns, chain_head)
        select order_key, copy_key, ordinal, purpose, nullif(subscription_id, ''),
               subscription_version, nullif(trigger_id, ''), follower_user_id,
               follower_wallet_id, follower_proxy, p_partition, leader, leader_tx, condition_id,
               asset_id, side, size_micros, limit_micros, time_in_force, not_after_ms,
               convert_to(body, 'UTF8'), body_hash, p_seq, control_seq, 'CLAIMED', traceparent,
               received_ns, routed_ns,
               (select (extract(epoch from committed_at) * 1000000)::bigint * 1000
                from journal where seq = p_seq),
               sha256(convert_to(concat_ws('|', order_key, 'CLAIMED', body_hash, p_seq), 'UTF8'))
        from input
        on conflict (order_key) do nothing
        returning order_key, chain_head
    ),
    noted as (
        insert into order_event (order_key, from_state, to_state, reason, epoch, hash)
        select order_key, '', 'CLAIMED', '', 0, chain_head from claimed
    )
    insert into reservation (order_key, follower_proxy, subscription_id, condition_id, asset_id,
                             money_micros, shares_micros)
    select i.order_key, i.follower_proxy, nullif(i.subscription_id, ''), i.condition_id,
           i.asset_id, i.reserved_money_micros, i.reserved_shares_micros
    from input i join claimed c on c.order_key = i.order_key;

    insert into decision (
        leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy, copied,
        reason, detail, leader_size_micros, leader_notional_micros, frozen, ordered_size_micros,
        order_keys, journal_seq, title)
    select leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy,
           copied, reason, detail, leader_size_micros, leader_notional_micros, frozen,
           ordered_size_micros,
           array(select json_array_elements_text(order_keys)), p_seq, title
    from json_to_recordset(p_payload->'decisions') as t(
        leader_tx text, leader text, asset_id text, side text, subscription_id text,
        condition_id text, follower_proxy text, copied boolean, reason text, detail text,
        leader_size_micros bigint, leader_notional_micros numeric, frozen jsonb,
        ordered_size_micros bigint, order_keys json, title text)
    on conflict (leader_tx, leader, asset_id, side, subscription_id) do update set
        copied = excluded.copied, reason = excluded.reason, detail = excluded.detail,
        leader_size_micros = excluded.leader_size_micros,
        leader_notional_micros = excluded.leader_notional_micros, frozen = excluded.frozen,
        ordered_size_micros = excluded.ordered_size_micros, order_keys = excluded.order_keys,
        journal_seq = excluded.journal_seq, updated_at = clock_timestamp()
    where decision.journal_seq < excluded.journal_seq;

    insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros, source,
                            count, price_micros, condition_id, traded_ms, held_before_micros)
    select leader_tx, leader, asset_id, side, price_text, size_micros, source, count,
           price_micros, condition_id, traded_ms, held_before_micros
    from json_to_recordset(p_payload->'rows') as t(
        leader_tx text, leader text, asset_id text, side text, price_text text,
        size_micros bigint, source text, count integer, price_micros bigint, condition_id text,
        traded_ms bigint, held_before_micros bigint)
    on conflict (leader_tx, leader, asset_id, side, price_text, size_micros, source)
        do update set count = greatest(leader_row.count, excluded.count),
                      held_before_micros = coalesce(leader_row.held_before_micros,
                                                    excluded.held_before_micros);
$$;

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
