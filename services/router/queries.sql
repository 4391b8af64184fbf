-- name: control_seq
select coalesce(max(seq), 0) as seq from control_change

-- name: subscriptions_changed
-- The hot index, or what of it has changed, oldest first.
select id, follower_user_id, follower_wallet_id, follower_proxy, leader, state, version,
       sizing_mode, sizing_micros, max_per_trade_micros, max_per_market_micros,
       max_slippage_micros, max_age_ms, changed_seq
from subscription
where changed_seq > %(after)s
order by created_at, id

-- name: lots
select follower_proxy, asset_id, origin, condition_id, shares_micros, cost_micros
from lot where shares_micros > 0

-- name: open_entries
-- Entries that still hold a reservation.
select o.order_key, o.copy_key, o.subscription_id, o.condition_id, o.asset_id, r.money_micros
from reservation r join orders o using (order_key)
where r.released_at is null and o.purpose = 'ENTRY' and o.partition = %(partition)s

-- name: recent_rows
-- Facts about leader trades that may still grow.
select leader_tx, leader, asset_id, side, price_text, size_micros, source, count, price_micros,
       condition_id, traded_ms, held_before_micros, (extract(epoch from seen_at) * 1000000)::bigint * 1000 as seen_ns
from leader_row r
where seen_at > clock_timestamp() - make_interval(secs => %(seconds)s)
   or exists (
       select 1 from decision d
       where d.leader_tx = r.leader_tx and d.leader = r.leader and d.asset_id = r.asset_id
         and d.side = r.side and d.reason = 'WAITING_FOR_ENTRY')

-- name: recent_decisions
-- Judgements of leader trades that may still grow, and exits that still wait.
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, detail, frozen,
       ordered_size_micros, order_keys
from decision
where updated_at > clock_timestamp() - make_interval(secs => %(seconds)s)
   or reason = 'WAITING_FOR_ENTRY'

-- name: recent_entry_keys
select copy_key, subscription_id from orders
where purpose = 'ENTRY' and created_at > clock_timestamp() - make_interval(secs => %(seconds)s)
  and partition = %(partition)s

-- name: lock_lots
-- One order for everybody. What is reserved is read by the next statement, whose snapshot is
-- taken after the lock: in this one it would be from before the wait.
select 1 from lot
where asset_id = %(asset_id)s and origin = any(%(origins)s)
order by follower_proxy, asset_id, origin
for update

-- name: locked_lots
-- Lots that this transaction holds, with what no other exit has reserved.
select l.follower_proxy, l.origin, l.shares_micros,
       l.shares_micros - coalesce((
           select sum(r.shares_micros) from reservation r join orders o using (order_key)
           where r.released_at is null and r.follower_proxy = l.follower_proxy
             and r.asset_id = l.asset_id and coalesce(o.subscription_id, 'manual') = l.origin
       ), 0)::bigint as free_micros
from lot l
where l.asset_id = %(asset_id)s and l.origin = any(%(origins)s)

-- name: exit_progress
-- How the slices of recent copy exits have ended, or that they have not.
select order_key, size_micros, filled_size_micros,
       state in ('CONFIRMED', 'FAILED', 'LOST') as ended,
       state = 'CONFIRMED' or failed_kind is not distinct from 'KILLED' as tried
from orders
where purpose = 'COPY_EXIT' and partition = %(partition)s
  and created_at > clock_timestamp() - make_interval(secs => %(seconds)s)
