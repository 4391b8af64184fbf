-- name: list
-- Newest first, before a number; an empty filter admits all.
select id, stream, consumer, cursor, reason, quarantined_at, replay_requested_at, replayed_at
from dead_letter
where id < %(before_id)s and (%(consumer)s = '' or consumer = %(consumer)s)
order by id desc limit %(limit)s;

-- name: lock_message
select id, stream, consumer, cursor, reason, quarantined_at, replay_requested_at, replayed_at
from dead_letter where id = %(id)s for update;

-- name: request_replay
update dead_letter set replay_requested_at = clock_timestamp(), replayed_at = null
where id = %(id)s
returning id, stream, consumer, cursor, reason, quarantined_at, replay_requested_at, replayed_at;
