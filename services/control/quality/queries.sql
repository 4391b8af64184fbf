-- name: fold
-- Add bookings to the hours of lots, so many at most.
select fold_lot_hours(%(limit)s) as folded;

-- name: held
-- Outcomes that somebody holds.
select distinct asset_id from lot where shares_micros > 0;

-- name: note_marks
-- The newest bid of this hour takes the place of the one before.
insert into mark_hour (asset_id, hour, bid_micros)
select m.asset_id, date_trunc('hour', to_timestamp(%(at_ms)s::bigint / 1000.0), 'UTC'), m.bid_micros
from unnest(%(assets)s::text[], %(bids)s::bigint[]) m (asset_id, bid_micros)
on conflict (asset_id, hour) do update set bid_micros = excluded.bid_micros
where mark_hour.bid_micros <> excluded.bid_micros
returning asset_id;

-- name: series
-- A subscription's hours, its lots as they are now, and its outcomes' marks: one statement, so that all
-- of it is of one instant.
with hours as (
    select asset_id, extract(epoch from hour)::bigint as hour_s, bought_micros, sold_micros,
           payout_micros, fee_micros, realised_micros, shares_micros, cost_micros, false as unkept
    from lot_hour where origin = %(id)s
    union all
    select asset_id, extract(epoch from hour)::bigint, bought_micros, sold_micros, payout_micros,
           fee_micros, realised_micros, shares_micros, cost_micros, true
    from lot_hour_unkept where origin = %(id)s
)
select extract(epoch from s.created_at)::bigint as created_s,
       extract(epoch from statement_timestamp())::bigint as now_s,
       (select json_agg(h) from hours h) as hours,
       (select json_agg(json_build_object(
            'asset_id', asset_id, 'bought_micros', bought_notional_micros,
            'sold_micros', sold_notional_micros, 'payout_micros', payout_micros,
            'fee_micros', fee_micros, 'realised_micros', realised_micros,
            'shares_micros', shares_micros, 'cost_micros', cost_micros))
        from lot where origin = %(id)s) as lots,
       (select json_agg(json_build_array(m.asset_id, extract(epoch from m.hour)::bigint, m.bid_micros))
        from (select distinct asset_id from hours) a
        join mark_hour m on m.asset_id = a.asset_id
            and m.hour >= to_timestamp(%(from_s)s::bigint) and m.hour < to_timestamp(%(to_s)s::bigint)
       ) as marks
from subscription s where s.id = %(id)s;

-- name: differences
-- Lots whose hours do not add up to them: none, ever.
with parts as (
    select *, false as unkept from lot_hour union all select *, true from lot_hour_unkept
), sums as (
    select origin, asset_id, sum(bought_micros) as bought, sum(sold_micros) as sold,
           sum(payout_micros) as payouts, sum(fee_micros) as fees, sum(realised_micros) as realised,
           (array_agg(shares_micros order by hour desc, unkept desc))[1] as shares,
           (array_agg(cost_micros order by hour desc, unkept desc))[1] as cost
    from parts group by origin, asset_id
)
select l.origin, l.asset_id, to_json(l)::text as lot, to_json(s)::text as hours
from lot l left join sums s using (origin, asset_id)
where l.origin <> 'manual'
  and (l.bought_notional_micros, l.sold_notional_micros, l.payout_micros, l.fee_micros,
       l.realised_micros, l.shares_micros, l.cost_micros)
      is distinct from
      (coalesce(s.bought, 0), coalesce(s.sold, 0), coalesce(s.payouts, 0), coalesce(s.fees, 0),
       coalesce(s.realised, 0), coalesce(s.shares, 0), coalesce(s.cost, 0));

-- name: subscriptions_of
-- What sizes their copies; of one, or all of a wallet.
select id, leader, sizing_mode, sizing_micros, max_per_trade_micros, settings
from subscription
where (%(id)s <> '' and id = %(id)s) or (%(proxy)s <> '' and follower_proxy = %(proxy)s)
order by created_at, id limit %(limit)s;

-- name: copies
-- Orders of copies that were made within a time, with the leader's trade that each follows.
select o.order_key, o.subscription_id, o.leader, o.condition_id, o.asset_id, o.side, o.purpose, o.state,
       o.reason, o.size_micros, o.filled_size_micros, o.filled_notional_micros, o.fee_micros,
       o.received_ns, o.answered_ns, extract(epoch from o.created_at)::bigint as made_s,
       coalesce(d.leader_size_micros, 0) as leader_size_micros,
       coalesce(trunc(d.leader_notional_micros), 0)::text as leader_notional_micros
from orders o
left join lateral (
    select leader_size_micros, leader_notional_micros from decision d
    where d.leader_tx = o.leader_tx and d.leader = o.leader and d.asset_id = o.asset_id
      and d.side = o.side and d.subscription_id = o.subscription_id limit 1) d on true
where o.subscription_id = any(%(ids)s::text[]) and o.purpose in ('ENTRY', 'COPY_EXIT')
  and o.created_at >= to_timestamp(%(from_ms)s::bigint / 1000.0)
  and o.created_at < to_timestamp(%(to_ms)s::bigint / 1000.0)
order by o.created_at desc, o.order_key desc limit %(limit)s;

-- name: skips
-- Leader trades of a time that were not copied.
select subscription_id, condition_id, asset_id, side, reason, leader_size_micros,
       trunc(leader_notional_micros)::text as leader_notional_micros
from decision
where subscription_id = any(%(ids)s::text[]) and not copied
  and decided_at >= to_timestamp(%(from_ms)s::bigint / 1000.0)
  and decided_at < to_timestamp(%(to_ms)s::bigint / 1000.0)
limit %(limit)s;
