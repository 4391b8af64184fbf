-- name: positions
-- By market and outcome, after a key.
-- Slippage: null as long as no order has any.
select l.*, case when s.orders > 0 then s.micros end as slippage,
       (select r.state from redemption r
        where r.follower_proxy = l.follower_proxy and r.condition_id = l.condition_id
        order by r.round desc limit 1) as redemption
from lot l
cross join lateral (
    select sum(orders) as orders, sum(micros)::bigint as micros
    from (select orders, micros from slippage_sum
          where subscription_id = l.origin and asset_id = l.asset_id
          union all
          select orders, micros from slippage_unkept
          where subscription_id = l.origin and asset_id = l.asset_id) parts) s
where l.origin = %(id)s
  and (%(condition_id)s = '' or l.condition_id = %(condition_id)s)
  and (not %(open)s or l.shares_micros > 0)
  and (l.condition_id, l.asset_id) > (%(after_condition)s::text, %(after_asset)s::text)
order by l.condition_id, l.asset_id limit %(limit)s;
