-- name: lock_halt
select h.*, to_jsonb(h) as audit from halt h
where scope = %(scope)s and subject = %(subject)s for update;

-- name: put_halt
insert into halt as h (scope, subject, mode, reason)
values (%(scope)s, %(subject)s, %(mode)s, %(reason)s)
on conflict (scope, subject) do update
    set mode = excluded.mode, reason = excluded.reason, set_at = clock_timestamp();

-- name: delete_halt
delete from halt where scope = %(scope)s and subject = %(subject)s;

-- name: halts
select * from halt order by scope, subject;

-- name: breakers
select * from breaker order by dependency;

-- name: lock_breaker
select b.*, to_jsonb(b) as audit from breaker b where dependency = %(dependency)s for update;

-- name: reset_breaker
update breaker set state = 'CLOSED', version = version + 1, openings = 0, retry_at_ms = 0,
    prober = '', reason = '', changed_at = clock_timestamp()
where dependency = %(dependency)s;

-- name: in_flight
-- Orders that are committed as SUBMITTING under a scope: rows, and journal records that are no
-- rows yet. One statement, so that a record which becomes rows meanwhile is seen once. An order of
-- which only the key is known is listed: better one too many.
with submitting as (
    select e->>'order_key' as order_key
    from journal j, json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
    where j.kind = 'SUBMITTING' and j.rows_built_at is null
), claimed as (
    select e->>'order_key' as order_key, e->>'follower_proxy' as wallet, e->>'leader' as leader,
           e->>'condition_id' as condition_id
    from journal j, json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
    where j.kind = 'CLAIMED' and j.rows_built_at is null
      and exists (select 1 from submitting)
), flying as (
    select order_key, follower_proxy as wallet, leader, condition_id
    from orders where state = 'SUBMITTING'
    union
    select s.order_key, coalesce(o.follower_proxy, c.wallet), coalesce(o.leader, c.leader),
           coalesce(o.condition_id, c.condition_id)
    from submitting s
    left join orders o on o.order_key = s.order_key
    left join claimed c on c.order_key = s.order_key
)
select distinct order_key from flying
where case %(scope)s
          when 'GLOBAL' then true
          when 'WALLET' then coalesce(wallet, %(subject)s) = %(subject)s
          when 'LEADER' then coalesce(leader, %(subject)s) = %(subject)s
          else coalesce(condition_id, %(subject)s) = %(subject)s
      end
order by order_key;

-- name: list_orders
-- A page in the order of keys.
select order_key, state, reason, follower_proxy, asset_id, side, size_micros, filled_size_micros,
       filled_notional_micros, fee_micros, venue_order_id, created_at
from orders
where state = any(%(states)s) and order_key > %(after)s
  and (%(wallet)s = '' or follower_proxy = %(wallet)s)
order by order_key
limit %(limit)s;

-- name: resolved_order
-- The order, and what was decided about it last.
select o.order_key, o.state, o.epoch, o.size_micros, o.filled_size_micros,
       o.filled_notional_micros, o.fee_micros, r.id, r.to_state, r.filled_size_micros as told_size,
       r.filled_notional_micros as told_notional, r.fee_micros as told_fee, r.evidence, r.operator,
       r.control_seq, r.done_at, r.refused
from orders o left join lateral (
    select * from order_resolution r where r.order_key = o.order_key order by r.id desc limit 1
) r on true
where o.order_key = %(key)s;

-- name: add_resolution
insert into order_resolution (order_key, from_state, epoch, to_state, filled_size_micros,
                              filled_notional_micros, fee_micros, evidence, operator, control_seq)
values (%(key)s, %(from_state)s, %(epoch)s, %(to_state)s, %(size)s, %(notional)s, %(fee)s,
        %(evidence)s, %(operator)s, %(control_seq)s);

-- name: follower_of
select follower_proxy, state from subscription where id = %(id)s;

-- name: make_lot
-- Of shares that are adopted, unless there is one; one that never held any may have been made for
-- another market by mistake.
insert into lot as l (follower_proxy, asset_id, origin, condition_id)
values (%(wallet)s, %(asset_id)s, %(origin)s, %(condition_id)s)
on conflict (follower_proxy, asset_id, origin) do update set condition_id = excluded.condition_id
where l.condition_id <> excluded.condition_id and l.bought_size_micros = 0 and l.shares_micros = 0
  and not exists (
      select from lot_request r
      where r.follower_proxy = l.follower_proxy and r.asset_id = l.asset_id and r.origin = l.origin
        and coalesce(r.refused, '') = '');

-- name: lot_to_correct
-- Held until the transaction ends.
select follower_proxy, asset_id, origin, condition_id, shares_micros, elsewhere_micros, cost_micros from lot
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = %(origin)s
for update;

-- name: lot_request
select r.*, l.shares_micros as held_micros
from lot_request r join lot l using (follower_proxy, asset_id, origin)
where request_id = %(request_id)s;

-- name: open_lot_request
select request_id from lot_request
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = %(origin)s
  and done_at is null;

-- name: add_lot_request
insert into lot_request (request_id, follower_proxy, asset_id, origin, shares_micros, cost_micros,
                         evidence, operator, control_seq)
values (%(request_id)s, %(wallet)s, %(asset_id)s, %(origin)s, %(shares_micros)s, %(cost_micros)s,
        %(evidence)s, %(operator)s, %(control_seq)s);
