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
