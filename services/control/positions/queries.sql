-- name: positions
-- By market and outcome, after a key.
-- Slippage: null as long as no order has any.
select l.*,
       case when exists (select from slippage_due where subscription_id = %(id)s)
             and exists (select from slippage_due d
                         where d.subscription_id = l.origin and d.asset_id = l.asset_id)
            then slippage_of(l.origin, l.asset_id)
            when s.orders > 0 then s.micros end as slippage,
       (select r.state from redemption r
        where r.follower_proxy = l.follower_proxy and r.condition_id = l.condition_id
        order by r.round desc limit 1) as redemption
from lot l
left join slippage_sum s on s.subscription_id = l.origin and s.asset_id = l.asset_id
where l.origin = %(id)s
  and (%(condition_id)s = '' or l.condition_id = %(condition_id)s)
  and (not %(open)s or l.shares_micros > 0)
  and (l.condition_id, l.asset_id) > (%(after_condition)s::text, %(after_asset)s::text)
order by l.condition_id, l.asset_id limit %(limit)s;
