-- name: endpoints
select e.id, e.url, e.types, e.description, e.ordering, e.enabled, e.disabled_reason, e.created_at,
       l.position, l.pending, l.replays, l.failing_since,
       array(select s.secret from webhook_secret s where s.endpoint_id = e.id
             order by s.until is not null, s.made_at desc) as secrets,
       array(select coalesce(s.until, '9999-01-01') from webhook_secret s
             where s.endpoint_id = e.id order by s.until is not null, s.made_at desc) as untils
from webhook_endpoint e join webhook_lane l on l.endpoint_id = e.id
order by e.created_at, e.id

-- name: by_key
select id, request_hash from webhook_endpoint where request_key = %(key)s

-- name: create
insert into webhook_endpoint (id, url, types, description, ordering, request_key, request_hash)
values (%(id)s, %(url)s, %(types)s, %(description)s, %(ordering)s, %(key)s, %(hash)s)
returning created_at

-- name: create_lane
insert into webhook_lane (endpoint_id, position, pending, replays)
values (%(id)s, %(position)s, '{}', '[]')

-- name: add_secret
insert into webhook_secret (endpoint_id, secret) values (%(id)s, %(secret)s)

-- name: old_secrets
update webhook_secret set until = clock_timestamp() + interval '1 day'
where endpoint_id = %(id)s and until is null

-- name: drop_secrets
delete from webhook_secret where until < clock_timestamp()

-- name: update
update webhook_endpoint set url = %(url)s, types = %(types)s, description = %(description)s,
       enabled = %(enabled)s, disabled_reason = %(disabled_reason)s
where id = %(id)s

-- name: delete
delete from webhook_endpoint where id = %(id)s

-- name: note
insert into webhook_event (endpoint_id, action, url, actor, reason)
values (%(id)s, %(action)s, %(url)s, %(actor)s, %(reason)s)

-- name: keep_lanes
update webhook_lane l set position = k.position, pending = k.pending, replays = k.replays,
       failing_since = k.failing_since
from unnest(%(ids)s::text[], %(positions)s::bigint[], %(pendings)s::text[], %(replays)s::text[],
            %(failing)s::timestamptz[]) as k(id, position, pending, replays, failing_since)
where l.endpoint_id = k.id

-- name: keep_deliveries
-- An endpoint may have been deleted meanwhile.
insert into webhook_delivery (endpoint_id, event_id, event_type, number, attempt, at, duration_ms,
                              outcome, status, answer)
select k.* from unnest(%(ids)s::text[], %(events)s::text[], %(types)s::text[],
    %(numbers)s::bigint[], %(attempts)s::integer[], %(ats)s::timestamptz[],
    %(durations)s::integer[], %(outcomes)s::text[], %(statuses)s::integer[], %(answers)s::text[])
    as k(id, event, type, number, attempt, at, duration, outcome, status, answer)
join webhook_endpoint e on e.id = k.id

-- name: forget_deliveries
delete from webhook_delivery d
where d.endpoint_id = %(id)s and d.id <= (
    select o.id from webhook_delivery o where o.endpoint_id = %(id)s
    order by o.id desc offset %(kept)s limit 1)

-- name: deliveries
select id, event_id, event_type, number, attempt, at, duration_ms, outcome, status, answer
from webhook_delivery
where endpoint_id = %(id)s and (%(before)s::bigint = 0 or id < %(before)s)
order by id desc limit %(limit)s
