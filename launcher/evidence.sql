-- What the invariants look at, read in one snapshot. Each query takes the instant from which on
-- rows belong to this run: a real database has others.

-- name: orders
select order_key, copy_key, ordinal, purpose, coalesce(subscription_id, '') as subscription_id,
       coalesce(trigger_id, '') as trigger_id, follower_proxy, leader_tx, asset_id, side,
       size_micros, limit_micros, not_after_ms, body_hash, journal_seq, state,
       coalesce(failed_kind, '') as failed_kind, epoch, filled_size_micros,
       filled_notional_micros, fee_micros, encode(chain_head, 'hex') as chain_head
from orders where created_at >= %(since)s order by journal_seq, order_key;

-- name: events
select e.order_key, e.from_state, e.to_state, e.reason, e.epoch,
       (extract(epoch from e.occurred_at) * 1000000)::bigint as occurred_us,
       encode(e.hash, 'hex') as hash
from order_event e join orders o using (order_key)
where o.created_at >= %(since)s order by e.event_seq;

-- name: fills
select f.order_key, f.trade_id, f.status, f.size_micros, f.notional_micros, f.fee_micros
from fill f join orders o using (order_key) where o.created_at >= %(since)s;

-- name: decisions
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, ordered_size_micros,
       order_keys
from decision where decided_at >= %(since)s;

-- name: subscriptions
select id, leader, state, version, (extract(epoch from created_at) * 1000)::bigint as created_ms,
       max_per_trade_micros
from subscription where created_at >= %(since)s;

-- name: lots
select l.follower_proxy, l.asset_id, l.origin, l.shares_micros, l.cost_micros,
       l.bought_size_micros, l.bought_notional_micros, l.sold_size_micros,
       l.sold_notional_micros, l.fee_micros, l.realised_micros, l.resolved_size_micros,
       l.payout_micros, l.by_hand_micros, l.by_hand_cost_micros, l.elsewhere_micros, l.elsewhere_cost_micros
from lot l where exists (
    select 1 from subscription s
    where s.follower_proxy = l.follower_proxy and s.created_at >= %(since)s);

-- name: redemptions
select redeem_key, follower_proxy, condition_id, state, expected_micros, paid_micros
from redemption where requested_at >= %(since)s;

-- name: balances
select b.follower_proxy, b.cash_micros from follower_balance b
where b.cash_micros is not null and exists (
    select 1 from subscription s
    where s.follower_proxy = b.follower_proxy and s.created_at >= %(since)s);

-- name: triggers
select id, status, generation, coalesce(jsonb_array_length(rungs), 0) as rungs
from trigger where created_at >= %(since)s;

-- name: reservations
select r.order_key, r.money_micros, r.shares_micros
from reservation r join orders o using (order_key)
where r.released_at is null and o.created_at >= %(since)s;

-- name: control_changes
select seq, encode(previous_hash, 'hex') as previous_hash, encode(hash, 'hex') as hash
from control_change order by seq;

-- name: journal_unbuilt
select count(*)::int as unbuilt from journal
where rows_built_at is null and committed_at >= %(since)s;
