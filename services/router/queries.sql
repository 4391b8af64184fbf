-- name: control_seq
select coalesce(max(seq), 0) as seq from control_change

-- name: subscriptions_changed
-- The hot index, or what of it has changed, oldest first.
select id, follower_user_id, follower_wallet_id, follower_proxy, leader, state, version,
       sizing_mode, sizing_micros, max_per_trade_micros, max_per_market_micros,
       max_slippage_micros, max_age_ms, settings, scale_micros, changed_seq,
       floor(extract(epoch from created_at) * 1000)::bigint as created_ms
from subscription
where changed_seq > %(after)s
order by created_at, id

-- name: fundings_changed
-- Budgets of wallets, or what of them has changed.
select follower_proxy, funded_micros from funding where changed_seq > %(after)s

-- name: halts
-- What may send nothing at all; REDUCING lets exits through.
select scope, subject from halt where mode = 'HALTED'

-- name: lots
select follower_proxy, asset_id, origin, condition_id, shares_micros, cost_micros
from lot where shares_micros > 0

-- name: lot_cost
-- What the shares of a lot cost by now.
select coalesce(sum(cost_micros), 0)::bigint as cost_micros from lot
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and origin = %(origin)s

-- name: booked_to
-- The newest booking: lots that are read by now have it and what came before.
select coalesce(max(fill_seq), 0) as seq from booking

-- name: open_entries
-- Entries that still hold a reservation.
select o.order_key, o.copy_key, o.subscription_id, o.follower_proxy, o.condition_id, o.asset_id,
       r.money_micros, o.claimed_ns / 86400000000000 as day
from reservation r join orders o using (order_key)
where r.released_at is null and o.purpose = 'ENTRY' and o.partition = %(partition)s

-- name: open_wallets
-- Wallets with orders under way, and the partitions that have claimed them.
select o.partition, o.follower_proxy from reservation r join orders o using (order_key)
where r.released_at is null
union
select partition, jsonb_array_elements(convert_from(payload, 'UTF8')::jsonb->'orders')
                  ->>'follower_proxy'
from journal where kind = 'CLAIMED' and rows_built_at is null and set_aside is null

-- name: rows_of
-- Facts about these leader trades that this partition has judged. An exit without any was judged
-- when the wallets were divided otherwise.
select leader_tx, leader, asset_id, side, price_text, size_micros, source, count, price_micros,
       condition_id, traded_ms, held_before_micros,
       (extract(epoch from seen_at) * 1000000)::bigint * 1000 as seen_ns
from leader_row
join unnest(%(txs)s::text[], %(leaders)s::text[], %(assets)s::text[], %(sides)s::text[])
    as trade(leader_tx, leader, asset_id, side) using (leader_tx, leader, asset_id, side)
where partition = %(partition)s
   or side = 'SELL' and not exists (
       select 1 from leader_row mine
       where (mine.leader_tx, mine.leader, mine.asset_id, mine.side)
             = (leader_row.leader_tx, leader_row.leader, leader_row.asset_id, leader_row.side)
         and mine.partition = %(partition)s)

-- name: recent_decisions
-- Judgements of leader trades that may still grow; exits that still wait, are judged again, were too
-- small for a lot that is still held, or have a slice that is open, has ended only now, or has left something. Each by an index of its own:
-- nobody claims meanwhile.
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, detail, frozen,
       ordered_size_micros, order_keys
from decision where updated_at > statement_timestamp() - make_interval(secs => %(seconds)s)
union
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, detail, frozen,
       ordered_size_micros, order_keys
from decision where frozen ? 'awaited'
union
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, detail, frozen,
       ordered_size_micros, order_keys
from decision where side = 'SELL' and reason <> '' and reason = any(%(again)s)
union
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, detail, frozen,
       ordered_size_micros, order_keys
from decision d where frozen ? 'small_micros' and exists (
    select 1 from lot l where l.follower_proxy = d.follower_proxy and l.asset_id = d.asset_id
                          and l.origin = d.subscription_id and l.shares_micros > 0)
union
select d.leader_tx, d.leader, d.asset_id, d.side, d.subscription_id, d.copied, d.reason, d.detail,
       d.frozen, d.ordered_size_micros, d.order_keys
from (select order_key from reservation where shares_micros > 0 and released_at is null
      union all
      select order_key from reservation r
      where shares_micros > 0 and released_at > statement_timestamp() - interval '7 days'
        and (released_at > statement_timestamp() - make_interval(secs => %(seconds)s)
             -- In the pause after it: what it has left is sold next, or was.
             or (select filled_size_micros < size_micros from orders o
                 where o.order_key = r.order_key))) r
cross join lateral (select * from orders o where o.order_key = r.order_key offset 0) o
join decision d using (leader_tx, leader, asset_id, side, subscription_id)
where o.purpose = 'COPY_EXIT'

-- name: decisions_of
-- Judgements of these leader trades.
select leader_tx, leader, asset_id, side, subscription_id, copied, reason, detail, frozen,
       ordered_size_micros, order_keys
from decision
join unnest(%(txs)s::text[], %(leaders)s::text[], %(assets)s::text[], %(sides)s::text[])
    as trade(leader_tx, leader, asset_id, side) using (leader_tx, leader, asset_id, side)

-- name: recent_entry_keys
select copy_key, subscription_id from orders
where purpose = 'ENTRY' and created_at > statement_timestamp() - make_interval(secs => %(seconds)s)

-- name: lock_lots
-- One order for everybody. What is reserved is read by the next statement, whose snapshot is
-- taken after the lock: in this one it would be from before the wait.
select 1 from lot
where asset_id = %(asset_id)s and origin = any(%(origins)s)
order by follower_proxy, asset_id, origin
for update

-- name: leader_left
-- Entries that were not sent yet and never will be.
select order_key from leader_left(%(partition)s, %(keys)s) as t(order_key)

-- name: locked_lots
-- Lots that this transaction holds, with what no other exit is going to take, sales of triggers and
-- resyncs that are not settled, and entries that may still fill. What is booked of a sale has left the lot, and only the
-- rest of its reservation counts. One statement: a fill is in the lot and counted with its order, or
-- neither.
select s.origin, coalesce(l.shares_micros, 0) as shares_micros,
       coalesce(l.shares_micros, 0) - coalesce(x.taken, 0)::bigint as free_micros,
       coalesce(x.unsettled, 0)::bigint as unsettled_micros,
       coalesce(x.leaving, 0)::bigint as leaving_micros, x.sales, e.unresolved
from unnest(%(origins)s::text[]) s(origin)
left join lot l on l.asset_id = %(asset_id)s and l.origin = s.origin
left join lateral (
    select sum(greatest(r.shares_micros - o.filled_size_micros, 0)) as taken,
           sum(o.filled_size_micros) filter (where o.side = 'SELL') as unsettled,
           sum(greatest(r.shares_micros - o.filled_size_micros, 0))
               filter (where o.side = 'SELL' and o.leader_tx = '') as leaving,
           jsonb_object_agg(o.order_key, greatest(r.shares_micros, o.filled_size_micros))
               filter (where o.side = 'SELL' and o.leader_tx = '') as sales
    from reservation r join orders o using (order_key)
    where r.released_at is null and r.follower_proxy = l.follower_proxy
      and r.asset_id = l.asset_id and coalesce(o.subscription_id, 'manual') = l.origin) x on true
left join lateral (
    select jsonb_object_agg(o.order_key, o.filled_size_micros) as unresolved from orders o
    where o.subscription_id = s.origin and o.asset_id = %(asset_id)s and o.purpose = 'ENTRY'
      and o.state not in ('CONFIRMED', 'FAILED', 'LOST')) e on true
where l.origin is not null or e.unresolved is not null

-- name: standing_of
-- What exits of leaders' sells may not take of each lot, of entries that were claimed after they
-- were first judged, and what their slices are selling and have sold. By PostgreSQL's time: there
-- may be no slice yet; where there is one, its number is surer. Only these copies of the sells.
select d.leader_tx, d.leader, d.asset_id, d.side, d.subscription_id as origin, (
           select coalesce(sum(e.size_micros), 0) from lot_entry e
           join orders o on o.order_key = e.order_key and o.purpose = 'ENTRY'
           left join orders x on x.order_key = d.order_keys[1]
           where e.follower_proxy = d.follower_proxy and e.asset_id = d.asset_id
             and e.origin = d.subscription_id and e.size_micros > 0
             and (o.journal_seq > x.journal_seq
                  or o.claimed_ns > (extract(epoch from d.decided_at) * 1000000)::bigint * 1000)
       )::bigint as later_micros, s.own_micros, s.sold_micros
from decision d
join unnest(%(txs)s::text[], %(leaders)s::text[], %(assets)s::text[], %(sides)s::text[],
            %(origins)s::text[])
    as copy(leader_tx, leader, asset_id, side, subscription_id)
    using (leader_tx, leader, asset_id, side, subscription_id)
cross join lateral (
    select coalesce(sum(o.filled_size_micros), 0)::bigint as sold_micros,
           coalesce(sum(greatest(r.shares_micros - o.filled_size_micros, 0))
                        filter (where r.released_at is null), 0)::bigint as own_micros
    from orders o join reservation r using (order_key) where o.order_key = any(d.order_keys)) s
where d.side = 'SELL'

-- name: ended_of
-- Which of these orders have ended, and with what.
select order_key, subscription_id, filled_size_micros from orders
where order_key = any(%(keys)s) and state in ('CONFIRMED', 'FAILED', 'LOST')

-- name: stale_entry
-- An entry that was never sent because its subscription had changed, and what it had set aside.
select o.order_key, o.leader_tx, o.leader, o.asset_id, o.side, o.subscription_id, o.size_micros,
       r.money_micros
from orders o join reservation r using (order_key)
where o.order_key = %(order_key)s and o.purpose = 'ENTRY' and o.state = 'FAILED'
  and o.failed_kind = 'UNSENT' and o.reason = 'SUBSCRIPTION_CHANGED'

-- name: recent_stale_entries
-- The same of all entries that were claimed lately.
select o.order_key, o.leader_tx, o.leader, o.asset_id, o.side, o.subscription_id, o.size_micros,
       r.money_micros
from orders o join reservation r using (order_key)
where o.partition = %(partition)s
  and o.created_at > statement_timestamp() - make_interval(secs => %(seconds)s)
  and o.purpose = 'ENTRY' and o.state = 'FAILED' and o.failed_kind = 'UNSENT'
  and o.reason = 'SUBSCRIPTION_CHANGED'

-- name: exit_progress
-- How these slices of copy exits have ended, or that they have not. By the reservation: one that has
-- appeared after its end has none.
select o.order_key, o.size_micros, o.filled_size_micros, r.released_at is not null as ended,
       o.state = 'CONFIRMED' or o.failed_kind is not distinct from 'KILLED' as tried,
       o.reason = 'HALTED' as halted
from orders o join reservation r using (order_key) where o.order_key = any(%(keys)s)

-- name: spent_by_ended
-- What entries without a reservation cost at most, from a UTC day on. Of these subscriptions, and
-- without orders that whoever asks still has as open.
select o.subscription_id, o.claimed_ns / 86400000000000 as day,
       sum(ceil(r.money_micros::numeric * o.filled_size_micros / o.size_micros))::bigint
           as money_micros
from unnest(%(subscriptions)s::text[]) mine(subscription_id)
join orders o using (subscription_id)
join reservation r using (order_key)
where o.purpose = 'ENTRY' and o.filled_size_micros > 0 and r.released_at is not null
  and o.created_at > statement_timestamp() - interval '2 days'
  and o.claimed_ns / 86400000000000 >= %(day)s and o.order_key <> all(%(open)s::text[])
group by 1, 2

-- name: bought_by_ended
-- How many copies entries without a reservation have bought, by outcome and the UTC day of the
-- first. A copy that may still grow is told by its name, with its orders; others as a number.
with copies as (
    select o.subscription_id, o.asset_id, o.copy_key,
           min(o.claimed_ns / 86400000000000) as day, count(*) as orders,
           max(o.created_at) > statement_timestamp() - make_interval(secs => %(seconds)s)
               or o.copy_key = any(%(open_copies)s::text[]) as grows
    from unnest(%(subscriptions)s::text[]) mine(subscription_id)
    join orders o using (subscription_id)
    where o.purpose = 'ENTRY' and o.filled_size_micros > 0
      and o.created_at > statement_timestamp() - make_interval(days => %(days)s)
      and o.order_key <> all(%(open)s::text[])
      and not exists (select 1 from reservation r
                      where r.order_key = o.order_key and r.released_at is null)
    group by 1, 2, 3)
select subscription_id, asset_id, day, case when grows then copy_key else '' end as copy_key,
       sum(case when grows then orders else 1 end)::bigint as number
from copies group by 1, 2, 3, 4

-- name: accrued
-- What copies that were too small left to the next ones of their outcome.
select subscription_id, asset_id, sum((frozen->>'accrued_micros')::bigint)::bigint as micros
from decision where frozen ? 'accrued_micros' group by 1, 2

-- name: paper_lots
-- What shadows moved on paper, by outcome.
select subscription_id, condition_id, asset_id,
       sum((frozen->>'paper_size_micros')::bigint)::bigint as size_micros,
       sum((frozen->>'paper_cost_micros')::bigint)::bigint as cost_micros,
       sum((frozen->>'paper_notional_micros')::bigint)::bigint as paid_micros
from decision where frozen ? 'paper_size_micros' group by 1, 2, 3

-- name: paper_buys
-- The copies behind them.
select subscription_id, asset_id, leader_tx,
       floor(extract(epoch from decided_at) / 86400)::bigint as day,
       (frozen->>'paper_cost_micros')::bigint as cost_micros
from decision where frozen ? 'paper_size_micros' and side = 'BUY'
  and decided_at > statement_timestamp() - make_interval(days => %(days)s)

-- name: cash
-- What trading has moved of wallets' money since they have a budget.
select l.follower_proxy,
       (sum(l.sold_notional_micros + l.payout_micros - l.bought_notional_micros - l.fee_micros)
        - coalesce(max(f.before_micros), 0))::bigint as moved_micros
from lot l left join funding f using (follower_proxy)
where l.follower_proxy = any(%(proxies)s) group by 1

-- name: balances
-- Cash of wallets that is known, of these or of those that changed lately.
select follower_proxy, cash_micros from follower_balance
where cash_micros is not null
  and (follower_proxy = any(%(proxies)s)
       or changed_at > statement_timestamp() - make_interval(secs => %(seconds)s))
