-- name: order
-- With the second of the leader's trade.
select o.*, r.money_micros as reserved_money_micros, r.shares_micros as reserved_shares_micros,
       (select min(l.traded_ms) from leader_row l
        where l.leader_tx = o.leader_tx and l.leader = o.leader and l.asset_id = o.asset_id)
           as traded_ms
from orders o left join reservation r on r.order_key = o.order_key
where o.order_key = %(key)s;

-- name: listed
-- What a list shows of each, with the second of the leader's trade.
select o.*, (select min(l.traded_ms) from leader_row l
             where l.leader_tx = o.leader_tx and l.leader = o.leader and l.asset_id = o.asset_id)
                as traded_ms
from

-- name: newest_of_all
-- By partition, whose orders an index has in this order.
(select o.* from generate_series(0, (select coalesce(max(partition), 0) from partition_lease)) p (n)
 cross join lateral (
     select * from orders o
     where o.partition = p.n
       and (cardinality(%(states)s::text[]) = 0 or o.state = any(%(states)s))
       and (%(after_at)s::timestamptz is null
            or (o.created_at, o.order_key) < (%(after_at)s::timestamptz, %(after_key)s::text))
     order by o.created_at desc, o.order_key desc limit %(limit)s
 ) o) o

-- name: newest_of_subscription
(select * from orders o
 where o.subscription_id = %(subscription)s
   and (cardinality(%(states)s::text[]) = 0 or o.state = any(%(states)s))
   and (%(after_at)s::timestamptz is null
        or (o.created_at, o.order_key) < (%(after_at)s::timestamptz, %(after_key)s::text))
   and (%(wallet)s = '' or o.follower_proxy = %(wallet)s)) o

-- name: newest_of_wallet
(select * from orders o
 where o.follower_proxy = %(wallet)s
   and (cardinality(%(states)s::text[]) = 0 or o.state = any(%(states)s))
   and (%(after_at)s::timestamptz is null
        or (o.created_at, o.order_key) < (%(after_at)s::timestamptz, %(after_key)s::text))) o

-- name: newest_first
order by o.created_at desc, o.order_key desc limit %(limit)s;

-- name: order_events
select * from order_event where order_key = %(key)s order by event_seq;
