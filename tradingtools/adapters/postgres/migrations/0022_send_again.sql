-- An order without an answer is sent again, where insiders-api promises that the same key is the
-- same order (capability A): confirm decides, the owner of its partition sends.
-- depends: 0021_late_acceptance

-- The epoch of the UNKNOWN that is to be sent again. Any transition after it that counts (the retry
-- itself, a fence) has a higher epoch, and any other leaves UNKNOWN: nothing has to be taken back.
alter table orders add column send_again_epoch bigint;
create index orders_send_again on orders (partition)
    where state = 'UNKNOWN' and send_again_epoch = epoch;

-- What holds these orders back now, whatever became of them before; no row: nothing.
create function held_back(
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
) returns table (order_key text, reason text) language sql as $$
    with o as (
        select * from unnest(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets,
                             p_leaders, p_conditions, p_not_afters)
            as t(order_key, purpose, subscription_id, version, wallet, leader, condition_id,
                 not_after_ms)
    ), held as (
        select o.order_key, bool_or(h.mode = 'HALTED') as halted,
               bool_or(h.mode = 'REDUCING') as reducing
        from o join halt h
          on h.scope = 'GLOBAL'
          or (h.scope = 'WALLET' and h.subject = o.wallet)
          or (h.scope = 'LEADER' and h.subject = o.leader)
          or (h.scope = 'MARKET' and h.subject = o.condition_id)
        group by o.order_key
    ), judged as (
        select o.order_key,
               case
                   when o.not_after_ms <= extract(epoch from clock_timestamp()) * 1000
                       then 'EXPIRED'
                   when held.halted then 'HALTED'
                   when o.purpose = 'ENTRY' and held.reducing then 'HALTED'
                   when o.purpose = 'ENTRY' and s.state is distinct from 'ACTIVE' then 'PAUSED'
                   when o.purpose = 'ENTRY' and s.version <> o.version
                       then 'SUBSCRIPTION_CHANGED'
               end as reason
        from o
        left join held on held.order_key = o.order_key
        left join subscription s on s.id = o.subscription_id
    )
    select j.order_key, j.reason from judged j where j.reason is not null
$$;

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
        -- Durable as SUBMITTING, and its rows could not be built: it may have been sent.
        select e->>'order_key'
        from journal j, json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
        where j.set_aside is not null and j.kind = 'SUBMITTING' and e->>'order_key' = any(p_keys)
    )
    select h.order_key, 'HANDLED_BEFORE' from handled h
    union all
    select b.order_key, b.reason
    from held_back(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets, p_leaders,
                   p_conditions, p_not_afters) b
    where not exists (select 1 from handled h where h.order_key = b.order_key)
$$;

-- UNKNOWN -> SUBMITTING of one order that confirm wants to be sent again. Same locks and same gates
-- as the first time; nothing leaves before its commit is acknowledged.
-- {"epoch": n, "attempt": n} | {"fenced": true} | {"denied": reason} | {} (not wanted any more)
create function submit_again(
    p_partition integer, p_lease_epoch bigint, p_key text, p_epoch bigint, p_lease_ms integer
) returns jsonb language plpgsql as $$
declare
    v_order orders%rowtype;
    v_denied text;
begin
    perform lock_control_shared();
    if not holds_lease('executor', p_partition, p_lease_epoch) then
        return jsonb_build_object('fenced', true);
    end if;
    select * into v_order from orders
    where order_key = p_key and partition = p_partition
      and state = 'UNKNOWN' and epoch = p_epoch and send_again_epoch = p_epoch
    for update;
    if not found then
        return '{}';
    end if;
    select reason into v_denied from held_back(
        array[p_key], array[v_order.purpose], array[v_order.subscription_id],
        array[v_order.subscription_version], array[v_order.follower_proxy],
        array[v_order.leader], array[v_order.condition_id], array[v_order.not_after_ms]);
    if v_denied is not null then
        -- Asked once; whether it is wanted still is confirm's to say.
        update orders set send_again_epoch = null where order_key = p_key;
        return jsonb_build_object('denied', v_denied);
    end if;
    perform apply_transitions(jsonb_build_array(jsonb_build_object(
        'order_key', p_key, 'from_state', 'UNKNOWN', 'to_state', 'SUBMITTING',
        'expected_epoch', p_epoch, 'epoch', p_epoch + 1, 'attempt', v_order.attempt + 1,
        'lease_ms', p_lease_ms)));
    return jsonb_build_object('epoch', p_epoch + 1, 'attempt', v_order.attempt + 1);
end $$;
