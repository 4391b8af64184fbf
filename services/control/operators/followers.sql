-- name: subscriptions
-- By id; an empty filter admits all.
select s.* from subscription s
where s.id > %(after)s and s.state = any(%(states)s::text[])
  and (%(proxy)s = '' or s.follower_proxy = %(proxy)s) and (%(leader)s = '' or s.leader = %(leader)s)
order by s.id limit %(limit)s;

-- name: decisions
-- Of one transaction, as the decisions of a subscription are shown.
select subscription_id, follower_proxy, leader_tx, leader, condition_id, asset_id, side,
       leader_size_micros, trunc(leader_notional_micros)::text as leader_notional_micros, copied,
       reason, detail, to_json(order_keys) as order_keys,
       case when order_keys <> '{}' then
           (select json_agg(json_build_array(o.order_key, o.state, o.reason, o.filled_size_micros)
                            order by array_position(d.order_keys, o.order_key))
            from orders o where o.order_key = any(d.order_keys)) end as orders,
       frozen->'paper_size_micros' as paper_size_micros,
       frozen->'paper_notional_micros' as paper_notional_micros, decided_at
from decision d
where leader_tx = %(leader_tx)s and (%(proxy)s = '' or follower_proxy = %(proxy)s)
  and (subscription_id, asset_id, side)
      > (%(after_subscription)s::text, %(after_asset)s::text, %(after_side)s::text)
order by subscription_id, asset_id, side limit %(limit)s;
