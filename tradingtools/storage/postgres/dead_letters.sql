-- name: quarantine
insert into dead_letter (stream, consumer, cursor, reason, payload)
values (%(stream)s, %(consumer)s, %(cursor)s, %(reason)s, %(payload)s)
returning id

-- name: to_replay
-- Messages that an operator wants handled again.
select id, cursor, payload from dead_letter
where consumer = %(consumer)s and stream = %(stream)s
  and replay_requested_at is not null and replayed_at is null
order by id
limit 100

-- name: replayed
update dead_letter set replayed_at = clock_timestamp() where id = %(id)s

-- name: list
-- What lies in quarantine, newest first.
select id, stream, consumer, cursor, reason, quarantined_at, replay_requested_at, replayed_at
from dead_letter order by id desc limit 200

-- name: request_replay
update dead_letter set replay_requested_at = clock_timestamp(), replayed_at = null
where id = %(id)s returning id
