-- name: may_book
select may_book(%(epoch)s) as held

-- name: lock_orders
-- In the order of their keys, so that two who lock some never wait for each other.
select order_key, subscription_id, follower_proxy, condition_id, asset_id, side, size_micros, state,
       failed_kind, reason, epoch, venue_order_id, filled_size_micros, filled_notional_micros,
       fee_micros
from orders where order_key = any(%(keys)s) order by order_key for update

-- name: fills
select order_key, trade_id, status, size_micros, notional_micros, fee_micros, cost_micros
from fill where order_key = any(%(keys)s)

-- name: lock_lots
-- The lots that orders move, those that are there.
select l.follower_proxy, l.asset_id, l.origin, l.shares_micros, l.cost_micros,
       l.bought_size_micros, l.sold_size_micros, l.resolved_size_micros
from lot l
where (l.follower_proxy, l.asset_id, l.origin) in (
    select o.follower_proxy, o.asset_id, coalesce(o.subscription_id, 'manual')
    from orders o where o.order_key = any(%(keys)s))
order by l.follower_proxy, l.asset_id, l.origin
for update

-- name: lot_entries
-- What is left in them, oldest first.
select e.follower_proxy, e.asset_id, e.origin, e.entry_seq, e.order_key, e.trade_id,
       e.size_micros, e.cost_micros
from (
    select distinct follower_proxy, asset_id, coalesce(subscription_id, 'manual') as origin
    from orders where order_key = any(%(keys)s)
) k cross join lateral (
    select * from lot_entry
    where size_micros > 0 and follower_proxy = k.follower_proxy and asset_id = k.asset_id
      and origin = k.origin
    offset 0
) e
order by e.entry_seq

-- name: add_entries
insert into lot_entry (follower_proxy, asset_id, origin, order_key, trade_id, size_micros,
                       cost_micros)
select follower_proxy, asset_id, origin, order_key, trade_id, size_micros, cost_micros
from jsonb_to_recordset(%(entries)s::jsonb)
    as e(place integer, follower_proxy text, asset_id text, origin text, order_key text,
         trade_id text, size_micros bigint, cost_micros bigint)
order by place

-- name: set_entries
update lot_entry e set size_micros = n.size_micros, cost_micros = n.cost_micros
from jsonb_to_recordset(%(entries)s::jsonb)
    as n(entry_seq bigint, size_micros bigint, cost_micros bigint)
where e.entry_seq = n.entry_seq

-- name: add_lots
-- Lots that were not there when their orders were locked; nobody else makes a subscription's.
insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros, cost_micros,
                 bought_size_micros, bought_notional_micros, sold_size_micros,
                 sold_notional_micros, fee_micros, realised_micros, resolved_size_micros,
                 payout_micros)
select follower_proxy, asset_id, origin, condition_id, shares, cost, bought_size, bought_notional,
       sold_size, sold_notional, fee, realised, resolved_size, payout
from jsonb_to_recordset(%(lots)s::jsonb)
    as l(follower_proxy text, asset_id text, origin text, condition_id text, shares bigint,
         cost bigint, bought_size bigint, bought_notional bigint, sold_size bigint,
         sold_notional bigint, fee bigint, realised bigint, resolved_size bigint, payout bigint)

-- name: move_lots
update lot set
    shares_micros = lot.shares_micros + m.shares,
    cost_micros = lot.cost_micros + m.cost,
    bought_size_micros = bought_size_micros + m.bought_size,
    bought_notional_micros = bought_notional_micros + m.bought_notional,
    sold_size_micros = sold_size_micros + m.sold_size,
    sold_notional_micros = sold_notional_micros + m.sold_notional,
    fee_micros = fee_micros + m.fee,
    realised_micros = realised_micros + m.realised,
    resolved_size_micros = resolved_size_micros + m.resolved_size,
    payout_micros = payout_micros + m.payout,
    updated_at = clock_timestamp()
from jsonb_to_recordset(%(moves)s::jsonb)
    as m(follower_proxy text, asset_id text, origin text, shares bigint, cost bigint,
         bought_size bigint, bought_notional bigint, sold_size bigint, sold_notional bigint,
         fee bigint, realised bigint, resolved_size bigint, payout bigint)
where lot.follower_proxy = m.follower_proxy and lot.asset_id = m.asset_id
  and lot.origin = m.origin

-- name: default_triggers
-- What the subscriptions of buys guard a new position of each lot with; where a loss stop sells all,
-- how many performance actions there were with it; and whether one of the newest set of that lot has
-- sold what could be sold, as one without a size of its own does; no row: with nothing.
select k.follower_proxy, k.asset_id, k.origin, s.triggers,
       case when s.exiting then s.performance_actions end as exiting_since,
       coalesce(newest.sold_out, false) as sold_out
from (
    select distinct o.follower_proxy, o.asset_id, o.subscription_id as origin
    from orders o where o.order_key = any(%(keys)s) and o.side = 'BUY'
) k
join subscription s on s.id = k.origin
left join lateral (
    select bool_or(t.status = 'DONE' and t.size_micros is null) as sold_out from trigger t
    where t.follower_proxy = k.follower_proxy and t.asset_id = k.asset_id
      and t.origin = k.origin and t.made_for <> ''
    group by t.made_for order by max(t.created_at) desc limit 1
) newest on true
where s.triggers <> '{}' or s.exiting

-- name: add_triggers
with made as (
    insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type,
                         price_micros, callback_ppm, fire_at_ms, rungs, break_even, made_for,
                         exit_of, status)
    select id, follower_proxy, condition_id, asset_id, origin, trigger_type, price_micros,
           callback_ppm, fire_at_ms, rungs, break_even, made_for, exit_of, 'ARMED'
    from jsonb_to_recordset(%(triggers)s::jsonb)
        as t(place integer, id text, follower_proxy text, condition_id text, asset_id text,
             origin text, trigger_type text, price_micros bigint, callback_ppm integer,
             fire_at_ms bigint, rungs jsonb, break_even boolean, made_for text, exit_of text)
    order by place
    returning id
)
insert into trigger_event (trigger_id, from_status, to_status, detail)
select id, '', 'ARMED', detail
from made
join jsonb_to_recordset(%(triggers)s::jsonb) as t(place integer, id text, detail text) using (id)
order by place

-- name: add_fills
-- Trades of orders.
insert into fill (order_key, subscription_id, trade_id, status, size_micros, notional_micros,
                  fee_micros, cost_micros, final_at)
select order_key, subscription_id, trade_id, status, size_micros, notional_micros, fee_micros,
       cost_micros, case when status <> 'MATCHED' then clock_timestamp() end
from jsonb_to_recordset(%(fills)s::jsonb)
    as f(order_key text, subscription_id text, trade_id text, status text, size_micros bigint,
         notional_micros bigint, fee_micros bigint, cost_micros bigint)

-- name: set_fills
-- Where they stand now.
update fill f set
    status = n.status,
    final_at = case when n.status <> 'MATCHED' then clock_timestamp() end
from jsonb_to_recordset(%(fills)s::jsonb) as n(order_key text, trade_id text, status text)
where f.order_key = n.order_key and f.trade_id = n.trade_id

-- name: move_orders
-- What was booked of orders that stay where they are, and when they are asked for again.
update orders o set
    filled_size_micros = o.filled_size_micros + m.size,
    filled_notional_micros = o.filled_notional_micros + m.notional,
    fee_micros = o.fee_micros + m.fee,
    next_check_at = coalesce(clock_timestamp() + make_interval(secs => m.next_check_ms / 1000.0),
                             o.next_check_at),
    not_found_count = case when m.next_check_ms is null then o.not_found_count else 0 end
from jsonb_to_recordset(%(moves)s::jsonb)
    as m(order_key text, size bigint, notional bigint, fee bigint, next_check_ms integer)
where o.order_key = m.order_key

-- name: add_bookings
insert into booking (kind, order_key, trade_id, size_micros, notional_micros, fee_micros,
                     realised_micros, order_state, reason, order_filled_micros,
                     lot_shares_micros, lot_cost_micros)
select kind, order_key, trade_id, size_micros, notional_micros, fee_micros, realised_micros,
       order_state, reason, order_filled_micros, lot_shares_micros, lot_cost_micros
from jsonb_to_recordset(%(bookings)s::jsonb)
    as b(place integer, kind text, order_key text, trade_id text, size_micros bigint,
         notional_micros bigint, fee_micros bigint, realised_micros bigint, order_state text,
         reason text, order_filled_micros bigint, lot_shares_micros bigint,
         lot_cost_micros bigint)
order by place
on conflict (order_key, kind, trade_id) do nothing

-- name: postpone
-- Ask for orders again later, if they are still where they were, and are to be looked at at the instant
-- that they were read with: a late acceptance wakes them at once.
update orders o set
    next_check_at = clock_timestamp() + make_interval(secs => p.milliseconds / 1000.0),
    not_found_count = p.not_found_count
from jsonb_to_recordset(%(orders)s::jsonb)
    as p(order_key text, state text, epoch bigint, next_check_at timestamptz, milliseconds bigint,
         not_found_count integer)
where o.order_key = p.order_key and o.state = p.state and o.epoch = p.epoch
  and o.next_check_at is not distinct from p.next_check_at

-- name: send_again
-- Wanted: another attempt, by the owner of the partition. It is looked at again if none comes. Not
-- wanted when the order is to be looked at at another instant than it was read with: it may have been
-- accepted late meanwhile, and then nothing is sent before confirm has looked.
update orders set
    send_again_epoch = epoch,
    send_again_by_settings = %(by_settings)s,
    next_check_at = clock_timestamp() + make_interval(secs => %(milliseconds)s / 1000.0)
where order_key = %(order_key)s and state = 'UNKNOWN' and epoch = %(epoch)s
  and next_check_at is not distinct from %(next_check_at)s

-- name: stop_watching
update orders set next_check_at = '9000-01-01 00:00:00+00'
where order_key = %(order_key)s and state = %(state)s and epoch = %(epoch)s

-- name: watched
-- Orders that the engine is done with and that are to be asked for again now.
select o.order_key, o.state, o.epoch, o.not_after_ms, o.not_found_count, o.traceparent,
       o.failed_kind, o.side, o.asset_id, o.follower_proxy, o.size_micros, o.venue_order_id,
       o.next_check_at, last.since_ms
from orders o cross join lateral (
    select e.occurred_at, (extract(epoch from e.occurred_at) * 1000)::bigint as since_ms
    from order_event e where e.order_key = o.order_key order by e.event_seq desc limit 1) last
where o.state in ('DEAD', 'RESURRECTED', 'CONFIRMED', 'FAILED', 'LOST')
  and o.next_check_at is distinct from '9000-01-01 00:00:00+00'::timestamptz
  and coalesce(o.next_check_at, '-infinity'::timestamptz) <= now()
  and (o.next_check_at is not null
       or last.occurred_at <= now() - make_interval(secs => %(first_ms)s / 1000.0))
order by coalesce(o.next_check_at, '-infinity'::timestamptz)
limit %(limit)s

-- name: reduce_wallet
select reduce_wallet(%(wallet)s, %(actor)s, %(reason)s) as changed

-- name: wallet
select follower_proxy from orders where order_key = %(order_key)s

-- name: reserve_again
update reservation set released_at = null where order_key = %(order_key)s

-- name: release
update reservation set released_at = clock_timestamp()
where order_key = %(order_key)s and released_at is null
returning order_key

-- name: due
-- Open orders that are to be looked at now; since when an unresolved one is that. Accepted ones may
-- be late by so much: what was answered to them is about to be booked.
select order_key, state, epoch, attempt, not_after_ms, not_found_count, traceparent, next_check_at,
       coalesce((select (extract(epoch from e.occurred_at) * 1000)::bigint from order_event e
                 where e.order_key = o.order_key and e.to_state = o.state
                 order by e.event_seq desc limit 1),
                (extract(epoch from created_at) * 1000)::bigint) as since_ms
from orders o
where state in ('SUBMITTED', 'UNKNOWN')
  and (next_check_at is null or next_check_at <= clock_timestamp() - case state
      when 'SUBMITTED' then make_interval(secs => %(late_ms)s / 1000.0) else '0' end)
order by next_check_at nulls first
limit %(limit)s

-- name: leaseless
-- SUBMITTING orders whose executor has not answered in time: fence them.
select order_key, epoch from orders
where state = 'SUBMITTING' and lease_until < clock_timestamp()

-- name: unclosed
-- Orders that have ended, by an event after this one, without their CLOSED booking.
select distinct e.order_key from order_event e join orders o using (order_key)
where e.event_seq > %(after)s and e.to_state in ('CONFIRMED', 'FAILED', 'LOST')
  and o.state in ('CONFIRMED', 'FAILED', 'LOST')
  and not exists (
      select 1 from booking b where b.order_key = e.order_key and b.kind = 'CLOSED')
limit 200

-- name: sealed_to
-- Up to which event none can appear any more, as it was so many seconds ago.
select coalesce((
    select to_seq from seal where sealed_at < clock_timestamp() - make_interval(secs => %(seconds)s)
    order by seal_seq desc limit 1), 0) as to_seq

-- name: last_booking
select coalesce(max(fill_seq), 0) as seq from booking

-- name: bookings_after
select b.fill_seq, b.kind, b.order_key, b.size_micros, b.notional_micros, b.fee_micros,
       b.lot_shares_micros, b.lot_cost_micros, b.order_state, b.reason, b.order_filled_micros,
       o.purpose, o.trigger_id, o.side, o.traceparent, o.answered_ns,
       coalesce(o.subscription_id, nullif(coalesce(p.origin, c.origin), 'manual'))
           as subscription_id,
       coalesce(o.follower_proxy, p.follower_proxy, c.follower_proxy) as follower_proxy,
       coalesce(o.condition_id, p.condition_id, c.condition_id) as condition_id,
       coalesce(o.asset_id, p.asset_id, c.asset_id) as asset_id,
       o.size_micros as order_size_micros,
       (extract(epoch from b.booked_at) * 1000000)::bigint * 1000 as booked_ns
from booking b left join orders o using (order_key) left join payout p on p.id = b.payout_id
     left join lot_correction c on c.id = b.correction_id
where b.fill_seq > %(after)s
order by b.fill_seq
limit %(limit)s

-- name: unresolved
-- What a person has to know of: how many, and the age of the oldest. Accepted orders are that once
-- they have not ended for so long.
select o.state, count(*) as orders,
       (extract(epoch from clock_timestamp() - min(last.occurred_at)) * 1000)::bigint as oldest_ms
from orders o cross join lateral (
    select e.occurred_at from order_event e
    where e.order_key = o.order_key order by e.event_seq desc limit 1) last
where o.state in ('UNKNOWN', 'DEAD', 'LOST', 'RESURRECTED')
  and (o.state <> 'LOST' or o.next_check_at is distinct from '9000-01-01 00:00:00+00'::timestamptz)
group by o.state
union all
select o.state, count(*),
       (extract(epoch from clock_timestamp() - min(last.occurred_at)) * 1000)::bigint
from orders o cross join lateral (
    select e.occurred_at from order_event e
    where e.order_key = o.order_key order by e.event_seq desc limit 1) last
where o.state = 'SUBMITTED'
  and last.occurred_at < clock_timestamp() - make_interval(secs => %(submitted_ms)s / 1000.0)
group by o.state

-- name: resolutions
-- What operators have decided and nobody has carried out yet, oldest first.
select * from order_resolution where done_at is null order by id limit 20

-- name: end_resolution
update order_resolution set done_at = clock_timestamp(), refused = %(refused)s
where id = %(id)s and done_at is null
returning id

-- name: payable
-- Markets of which wallets hold resolved assets and no others, where no order is open any more; a page
-- of them, after one.
select distinct l.follower_proxy, l.condition_id from lot l
where l.asset_id = any(%(assets)s) and l.shares_micros > 0
  and (l.follower_proxy, l.condition_id) > (%(after_proxy)s, %(after_condition)s)
  and not exists (
      select 1 from lot o
      where o.follower_proxy = l.follower_proxy and o.condition_id = l.condition_id
        and o.shares_micros > 0 and not (o.asset_id = any(%(assets)s)))
  and not exists (
      select 1 from reservation r
      where r.released_at is null and r.follower_proxy = l.follower_proxy
        and r.condition_id = l.condition_id)
order by 1, 2 limit %(limit)s

-- name: lock_market
-- Everything that a wallet holds in one market.
select asset_id, origin, shares_micros, cost_micros from lot
where follower_proxy = %(follower_proxy)s and condition_id = %(condition_id)s and shares_micros > 0
order by asset_id, origin
for update

-- name: market_busy
-- Whether an order may still move it: claimed and not ended, or claimed and not a row yet.
select exists (
    select 1 from reservation
    where released_at is null and follower_proxy = %(follower_proxy)s
      and condition_id = %(condition_id)s
) or exists (
    select 1 from journal j,
         json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
    where j.kind = 'CLAIMED' and j.rows_built_at is null and j.set_aside is null
      and e->>'follower_proxy' = %(follower_proxy)s and e->>'condition_id' = %(condition_id)s
) as busy

-- name: redemptions_made
select count(*)::int as made from redemption
where follower_proxy = %(follower_proxy)s and condition_id = %(condition_id)s

-- name: owner
-- Whom a wallet belongs to, as its last order had it; of shares that were bought by hand and never
-- sold by us, as their last trigger has it.
select follower_user_id, follower_wallet_id from (
    select follower_user_id, follower_wallet_id, 1 as choice, created_at, order_key as id
    from orders where follower_proxy = %(follower_proxy)s and asset_id = any(%(assets)s)
    union all
    select follower_user_id, follower_wallet_id, 2, created_at, id
    from trigger where follower_proxy = %(follower_proxy)s and asset_id = any(%(assets)s)
      and follower_wallet_id <> ''
) known
order by choice, created_at desc, id limit 1

-- name: add_redemption
insert into redemption (redeem_key, follower_proxy, condition_id, round, body, state,
                        expected_micros)
values (%(redeem_key)s, %(follower_proxy)s, %(condition_id)s, %(round)s, %(body)s, 'REQUESTED',
        %(expected_micros)s)

-- name: empty_lot
update lot_entry set size_micros = 0, cost_micros = 0
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and origin = %(origin)s
  and size_micros > 0

-- name: add_payout
insert into payout (redeem_key, follower_proxy, asset_id, origin, condition_id, size_micros,
                    cost_micros, share_micros, paid_micros)
values (%(redeem_key)s, %(follower_proxy)s, %(asset_id)s, %(origin)s, %(condition_id)s,
        %(size_micros)s, %(cost_micros)s, %(share_micros)s, %(paid_micros)s)
returning id

-- name: add_payout_booking
insert into booking (kind, payout_id, trade_id, size_micros, notional_micros, fee_micros,
                     realised_micros, order_state, order_filled_micros, lot_shares_micros,
                     lot_cost_micros)
values ('RESOLVED', %(payout_id)s, '', %(size_micros)s, %(notional_micros)s, 0,
        %(realised_micros)s, '', 0, 0, 0)

-- name: due_redemptions
select * from redemption where state <> 'CONFIRMED' and next_at <= clock_timestamp()
order by next_at, redeem_key limit 20

-- name: move_redemption
update redemption set
    state = %(state)s,
    paid_micros = coalesce(%(paid_micros)s, paid_micros),
    detail = %(detail)s,
    attempts = attempts + 1,
    next_at = clock_timestamp() + make_interval(secs => %(pause_ms)s / 1000.0),
    updated_at = clock_timestamp()
where redeem_key = %(redeem_key)s and state = %(before)s
returning redeem_key

-- name: wallets_to_poll
-- Wallets that follow or hold something, those that were asked for longest ago first.
select w.follower_proxy
from (select follower_proxy from subscription where state <> 'DELETED'
      union select follower_proxy from lot where shares_micros > 0) w
left join follower_balance b using (follower_proxy)
where (b.polled_at is null
       or b.polled_at <= clock_timestamp() - make_interval(secs => %(every_ms)s / 1000.0))
  and w.follower_proxy <> all(%(but)s)
order by b.polled_at nulls first, w.follower_proxy
limit %(limit)s

-- name: add_balance
insert into follower_balance (follower_proxy) values (%(follower_proxy)s) on conflict do nothing

-- name: wallet_quiet
-- Whether nothing of a wallet is under way, and how often it was moved.
select b.moves, not exists (
    select 1 from reservation r
    where r.released_at is null and r.follower_proxy = b.follower_proxy
) and not exists (
    select 1 from redemption d where d.state <> 'CONFIRMED' and d.follower_proxy = b.follower_proxy
) and not exists (
    select 1 from journal j,
         json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
    where j.kind = 'CLAIMED' and j.rows_built_at is null and j.set_aside is null
      -- Not each record of a crowd is parsed for each wallet that is asked for meanwhile.
      and position(convert_to(b.follower_proxy, 'UTF8') in j.payload) > 0
      and e->>'follower_proxy' = b.follower_proxy
) as quiet
from follower_balance b where b.follower_proxy = %(follower_proxy)s

-- name: put_balance
update follower_balance set
    cash_micros = %(cash_micros)s, polled_moves = moves, polled_at = clock_timestamp(),
    changed_at = clock_timestamp()
where follower_proxy = %(follower_proxy)s and moves = %(moves)s

-- name: move_balances
-- Wallets whose cash is unknown stay so.
update follower_balance b set
    cash_micros = b.cash_micros + m.cash, moves = b.moves + 1, changed_at = clock_timestamp()
from jsonb_to_recordset(%(moves)s::jsonb) as m(follower_proxy text, cash bigint)
where b.follower_proxy = m.follower_proxy

-- name: clear_positions
delete from follower_position where follower_proxy = %(follower_proxy)s

-- name: add_positions
insert into follower_position (follower_proxy, asset_id, condition_id, shares_micros)
select %(follower_proxy)s, t.*
from unnest(%(assets)s::text[], %(conditions)s::text[], %(shares)s::bigint[]) as t

-- name: lots_at_rest
-- What a wallet's lots hold of assets of which nothing is under way: no order that is claimed and has
-- not ended, whether it has a row yet or not, and no redemption. Vouched for are those of which an
-- operator has said what they hold, and that nothing has moved since.
select l.asset_id, l.condition_id, l.origin, l.shares_micros, l.cost_micros, l.bought_size_micros,
       l.sold_size_micros, l.resolved_size_micros, l.by_hand_micros, l.elsewhere_micros,
       l.elsewhere_cost_micros,
       -- Not `exists`, which may be answered by reading the whole table.
       coalesce((select true from lot_correction c
                 where c.origin = l.origin and c.asset_id = l.asset_id
                   and c.follower_proxy = l.follower_proxy and c.reason = 'OPERATOR'
                   and c.shares_micros = l.shares_micros and c.left_micros = l.cost_micros
                 limit 1), false) as vouched
from lot l
where l.follower_proxy = %(follower_proxy)s and l.shares_micros > 0
  and not exists (
      select 1 from reservation r
      where r.released_at is null and r.follower_proxy = l.follower_proxy
        and r.asset_id = l.asset_id)
  and not exists (
      select 1 from redemption d
      where d.state <> 'CONFIRMED' and d.follower_proxy = l.follower_proxy
        and d.condition_id = l.condition_id)
  and not exists (
      select 1 from journal j,
           json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
      where j.kind = 'CLAIMED' and j.rows_built_at is null and j.set_aside is null
        and position(convert_to(l.follower_proxy, 'UTF8') in j.payload) > 0
        and e->>'follower_proxy' = l.follower_proxy and e->>'asset_id' = l.asset_id)
order by l.asset_id, l.origin

-- name: lock_control
-- Before any row is locked, as whoever appends to the audit does.
select 1 as locked from lock_control_exclusive()

-- name: lock_asset
-- All lots of a wallet and asset, in the order in which everybody locks lots, and what guards a new
-- position of each, as `default_triggers` has it.
select l.asset_id, l.condition_id, l.origin, l.shares_micros, l.cost_micros, l.bought_size_micros,
       l.sold_size_micros, l.resolved_size_micros, l.by_hand_micros, l.elsewhere_micros,
       l.elsewhere_cost_micros, coalesce(s.triggers, '{}') as triggers,
       case when s.exiting then s.performance_actions end as exiting_since
from lot l left join subscription s on s.id = l.origin
where l.follower_proxy = %(follower_proxy)s and l.asset_id = %(asset_id)s
order by l.origin
for update of l

-- name: asset_busy
-- Whether anything of a wallet and asset is under way.
select exists (
    select 1 from reservation r
    where r.released_at is null and r.follower_proxy = %(follower_proxy)s
      and r.asset_id = %(asset_id)s
) or exists (
    select 1 from redemption d join lot l using (follower_proxy, condition_id)
    where d.state <> 'CONFIRMED' and l.follower_proxy = %(follower_proxy)s
      and l.asset_id = %(asset_id)s
) or exists (
    select 1 from journal j,
         json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
    where j.kind = 'CLAIMED' and j.rows_built_at is null and j.set_aside is null
      and position(convert_to(%(follower_proxy)s::text, 'UTF8') in j.payload) > 0
      and e->>'follower_proxy' = %(follower_proxy)s and e->>'asset_id' = %(asset_id)s
) as busy

-- name: asset_entries
-- What is left in them, oldest first.
select origin, entry_seq, order_key, trade_id, size_micros, cost_micros from lot_entry
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and size_micros > 0
order by entry_seq

-- name: correct_lot
update lot set
    shares_micros = shares_micros - %(size_micros)s,
    cost_micros = cost_micros - %(cost_micros)s,
    elsewhere_micros = elsewhere_micros + %(size_micros)s,
    elsewhere_cost_micros = elsewhere_cost_micros + %(cost_micros)s,
    updated_at = clock_timestamp()
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and origin = %(origin)s

-- name: adopt_lot
-- Shares that the wallet held already come in; below zero: they leave the lot again.
update lot set
    shares_micros = shares_micros + %(size_micros)s,
    cost_micros = cost_micros + %(cost_micros)s,
    bought_size_micros = bought_size_micros + %(size_micros)s,
    bought_notional_micros = bought_notional_micros + %(cost_micros)s,
    by_hand_micros = by_hand_micros + %(size_micros)s,
    by_hand_cost_micros = by_hand_cost_micros + %(cost_micros)s,
    updated_at = clock_timestamp()
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and origin = %(origin)s

-- name: add_correction
insert into lot_correction (follower_proxy, asset_id, origin, condition_id, reason, size_micros,
                            cost_micros, shares_micros, left_micros, held_micros, lot_request_id)
values (%(follower_proxy)s, %(asset_id)s, %(origin)s, %(condition_id)s, %(reason)s,
        %(size_micros)s, %(cost_micros)s, %(shares_micros)s, %(left_micros)s, %(held_micros)s,
        %(lot_request_id)s)
returning id

-- name: audit_correction
select audit_correction(%(id)s) as seq

-- name: add_correction_booking
insert into booking (kind, correction_id, trade_id, size_micros, notional_micros, fee_micros,
                     realised_micros, order_state, reason, order_filled_micros, lot_shares_micros,
                     lot_cost_micros)
values ('CORRECTED', %(correction_id)s, '', %(size_micros)s, 0, 0, 0, '', %(reason)s, 0,
        %(shares_micros)s, %(left_micros)s)

-- name: lot_requests
-- What operators have decided about lots and nobody has carried out yet, oldest first.
select * from lot_request where done_at is null order by id limit 20

-- name: end_lot_request
update lot_request set done_at = clock_timestamp(), refused = %(refused)s
where id = %(id)s and done_at is null
returning id
