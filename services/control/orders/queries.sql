-- name: order
-- With the second of the leader's trade.
select o.*, r.money_micros as reserved_money_micros, r.shares_micros as reserved_shares_micros,
       (select min(l.traded_ms) from leader_row l
        where l.leader_tx = o.leader_tx and l.leader = o.leader and l.asset_id = o.asset_id)
           as traded_ms
from orders o left join reservation r on r.order_key = o.order_key
where o.order_key = %(key)s;

-- name: order_events
select * from order_event where order_key = %(key)s order by event_seq;
