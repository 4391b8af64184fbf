-- name: newest
select number from event_log_position

-- name: after
select number, log_number, part, type, subject, occurred_at, follower_proxy, subscription_id,
       traceparent, data
from event where number > %(after)s order by number limit %(limit)s

-- name: instant
select occurred_at from event where number = %(number)s

-- name: selected
-- Of a bounded stretch of the log, so that a rare type costs no scan of all of it.
select number, log_number, part, type, subject, occurred_at, follower_proxy, subscription_id,
       traceparent, data
from event
where number > %(after)s and number <= %(to)s
  and (%(types)s::text[] is null or type = any(%(types)s::text[]))
  and (%(follower_proxy)s::text = '' or follower_proxy = %(follower_proxy)s)
  and (%(subscription_id)s::text = '' or subscription_id = %(subscription_id)s)
  and (%(exchanges)s::text[] is null
       or case when split_part(type, '.', 1) = any(%(copies)s::text[]) then %(copies_exchange)s::text
               when split_part(type, '.', 1) = any(%(named)s::text[]) then data::jsonb ->> 'exchange'
          end = any(%(exchanges)s::text[]))
order by number limit %(limit)s
