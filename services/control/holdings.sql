-- name: held
-- Lots of subscriptions that hold shares.
select origin, asset_id, shares_micros, cost_micros from lot
where origin = any(%(ids)s) and shares_micros > 0;

-- name: performance
-- How well subscriptions copied; one row for each id. Delays are of the last 200 copies.
select wanted.id, l.payouts, s.slippage, d.p50, d.p90, d.last
from unnest(%(ids)s::text[]) as wanted(id)
cross join lateral (
    select coalesce(sum(payout_micros), 0)::bigint as payouts
    from lot where origin = wanted.id) l
cross join lateral (
    select coalesce(sum(micros), 0)::bigint as slippage
    from copy_slippage where subscription_id = wanted.id) s
cross join lateral (
    select percentile_disc(0.5) within group (order by us) as p50,
           percentile_disc(0.9) within group (order by us) as p90,
           (array_agg(us order by answered_ns desc))[1] as last
    from (select (o.answered_ns - o.received_ns) / 1000 as us, o.answered_ns from orders o
          where o.subscription_id = wanted.id and o.received_ns > 0 and o.answered_ns > 0
            and o.purpose in ('ENTRY', 'COPY_EXIT')
          order by o.created_at desc limit 200) recent) d;

-- name: positions
-- By market and outcome, after a key.
select l.*, s.slippage,
       (select r.state from redemption r
        where r.follower_proxy = l.follower_proxy and r.condition_id = l.condition_id
        order by r.round desc limit 1) as redemption
from lot l
cross join lateral (
    select sum(c.micros)::bigint as slippage from copy_slippage c
    where c.follower_proxy = l.follower_proxy and c.asset_id = l.asset_id
      and c.subscription_id = l.origin) s
where l.origin = %(id)s
  and (%(condition_id)s = '' or l.condition_id = %(condition_id)s)
  and (not %(open)s or l.shares_micros > 0)
  and (l.condition_id, l.asset_id) > (%(after_condition)s::text, %(after_asset)s::text)
order by l.condition_id, l.asset_id limit %(limit)s;
