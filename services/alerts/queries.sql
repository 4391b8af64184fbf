-- name: begin
-- The first start: what has happened before there were alerts calls nobody.
insert into consumer_cursor (stream, consumer, cursor)
select 'events', 'alerts', number::text from event_log_position
on conflict (stream, consumer) do nothing

-- name: cursor
-- Never beyond the log: one that was restored from a backup may be shorter.
select least(cursor::bigint, (select number from event_log_position)) as cursor
from consumer_cursor where stream = 'events' and consumer = 'alerts'

-- name: move_cursor
update consumer_cursor set cursor = %(cursor)s, updated_at = clock_timestamp()
where stream = 'events' and consumer = 'alerts'

-- name: alerts
select rule, key, group_key, state, since_ms, last_ms, facts from alert

-- name: groups
select rule, key, firing, pending, pending_since_ms, notified_ms, open, since_ms, total, thread
from alert_group

-- name: put_alerts
insert into alert (rule, key, group_key, state, since_ms, last_ms, facts)
select * from unnest(%(rules)s::text[], %(keys)s::text[], %(groups)s::text[], %(states)s::text[],
                     %(since)s::bigint[], %(last)s::bigint[], %(facts)s::text[])
on conflict (rule, key) do update
    set group_key = excluded.group_key, state = excluded.state, since_ms = excluded.since_ms,
        last_ms = excluded.last_ms, facts = excluded.facts

-- name: drop_alerts
delete from alert a using unnest(%(rules)s::text[], %(keys)s::text[]) as gone(rule, key)
where a.rule = gone.rule and a.key = gone.key

-- name: put_group
insert into alert_group (rule, key, firing, pending, pending_since_ms, notified_ms, open, since_ms,
                         total, thread)
values (%(rule)s, %(key)s, %(firing)s, %(pending)s, %(pending_since_ms)s, %(notified_ms)s, %(open)s,
        %(since_ms)s, %(total)s, %(thread)s)
on conflict (rule, key) do update
    set firing = excluded.firing, pending = excluded.pending,
        pending_since_ms = excluded.pending_since_ms, notified_ms = excluded.notified_ms,
        open = excluded.open, since_ms = excluded.since_ms, total = excluded.total,
        thread = excluded.thread

-- name: drop_group
delete from alert_group where rule = %(rule)s and key = %(key)s

-- name: put_message
-- Again after a commit whose acknowledgement was lost: it is there.
insert into alert_message (id, thread, rule, kind, severity, title, body, at_ms)
values (%(id)s, %(thread)s, %(rule)s, %(kind)s, %(severity)s, %(title)s, %(body)s, %(at_ms)s)
on conflict (id) do nothing

-- name: put_deliveries
insert into alert_delivery (message_id, target)
select %(id)s, target from unnest(%(targets)s::text[]) as target
on conflict (message_id, target) do nothing

-- name: next_delivery
-- The oldest one of a target: what resolves is notified after what began.
select m.id, m.thread, m.rule, m.kind, m.severity, m.title, m.body, m.at_ms,
       d.state, d.attempts, d.perhaps,
       greatest(extract(epoch from d.next_at - clock_timestamp()), 0)::float8 as wait_seconds,
       extract(epoch from clock_timestamp() - m.made_at)::float8 as age_seconds
from alert_delivery d join alert_message m on m.id = d.message_id
where d.target = %(target)s and d.state in ('DUE', 'SENDING')
order by m.seq limit 1

-- name: begin_delivery
update alert_delivery set state = 'SENDING', attempts = attempts + 1
where message_id = %(id)s and target = %(target)s

-- name: end_delivery
update alert_delivery
set state = %(state)s, perhaps = %(perhaps)s, error = %(error)s, ended_at = clock_timestamp(),
    next_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s::float8)
where message_id = %(id)s and target = %(target)s

-- name: drop_targets
-- Targets that there are no more.
update alert_delivery set state = 'GIVEN_UP', error = 'no such target any more',
    ended_at = clock_timestamp()
where state in ('DUE', 'SENDING') and not target = any (%(targets)s::text[])

-- name: log_position
select p.log_number, (select last_value from log_number_seq) as newest
from event_log_position p

-- name: before_day
-- From the newest booking back to the first one of before this day.
select coalesce(max(fill_seq), 0)::bigint as number from booking where booked_at < %(day)s

-- name: realised
-- What the log has come to is complete: no booking up to there can still appear.
select coalesce(sum(b.realised_micros), 0)::bigint as micros, max(p.log_number) as number
from event_log_position p left join booking b
  on b.fill_seq > %(after)s and b.fill_seq <= p.log_number and b.booked_at >= %(day)s
