-- name: insert
insert into resync (id, subscription_id, follower_proxy, kind, state)
values (%(id)s, %(subscription_id)s, %(proxy)s, %(kind)s, 'REQUESTED');

-- name: lock
-- One resync, held until the transaction ends.
select r.* from resync r where id = %(id)s for update;

-- name: execute
update resync set state = 'EXECUTING', version = version + 1
where id = %(id)s and state = 'PREVIEWED';

-- name: get
-- With what became of the orders of its lines, by key.
select r.*, (
    select jsonb_object_agg(o.order_key, jsonb_build_object(
        'state', o.state, 'filled', o.filled_size_micros))
    from jsonb_array_elements(r.lines) l join orders o on o.order_key = l->>'order_key'
) as orders
from resync r where r.id = %(id)s;

-- name: list
-- Newest first, after a key.
select r.*, (
    select jsonb_object_agg(o.order_key, jsonb_build_object(
        'state', o.state, 'filled', o.filled_size_micros))
    from jsonb_array_elements(r.lines) l join orders o on o.order_key = l->>'order_key'
) as orders
from resync r
where r.subscription_id = %(id)s
  and (%(after_at)s::timestamptz is null
       or (r.requested_at, r.id) < (%(after_at)s::timestamptz, %(after_id)s::text))
order by r.requested_at desc, r.id desc limit %(limit)s;
