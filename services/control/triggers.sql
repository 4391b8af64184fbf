-- name: insert
insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type,
                     price_micros, size_micros, callback_micros, callback_ppm, fire_at_ms,
                     rungs, break_even, two_ticks, status, created_at, updated_at)
values (%(id)s, %(wallet)s, %(condition_id)s, %(asset_id)s, %(origin)s, %(trigger_type)s,
        %(price_micros)s, %(size_micros)s, %(callback_micros)s, %(callback_ppm)s, %(fire_at_ms)s,
        %(rungs)s, %(break_even)s, %(two_ticks)s, %(status)s, statement_timestamp(), statement_timestamp());

-- name: lot
-- What the lot holds, kept as it is until the transaction ends.
select condition_id, shares_micros from lot
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = %(origin)s
for share;

-- name: lock
-- One trigger, held until the transaction ends, with the form that the audit keeps.
select t.*, to_jsonb(t) as audit from trigger t where id = %(id)s for update;

-- name: get
select t.* from trigger t where id = %(id)s;

-- name: update
-- The caller has locked the row.
update trigger set
    price_micros = %(price_micros)s, size_micros = %(size_micros)s,
    callback_micros = %(callback_micros)s, callback_ppm = %(callback_ppm)s,
    fire_at_ms = %(fire_at_ms)s, rungs = %(rungs)s, break_even = %(break_even)s,
    two_ticks = %(two_ticks)s, version = version + 1, updated_at = clock_timestamp()
where id = %(id)s;

-- name: cancel
-- The caller has locked the row.
update trigger set status = 'CANCELLED', version = version + 1, updated_at = clock_timestamp()
where id = %(id)s;

-- name: note
insert into trigger_event (trigger_id, from_status, to_status, detail)
values (%(id)s, %(from_status)s, %(to_status)s, %(detail)s);

-- name: list
-- Oldest first, after a key.
select t.* from trigger t
where follower_proxy = %(wallet)s
  and (%(after_at)s::timestamptz is null
       or (created_at, id) > (%(after_at)s::timestamptz, %(after_id)s::text))
order by created_at, id limit %(limit)s;

-- name: history
-- Oldest first, after an event's number.
select * from trigger_event
where trigger_id = %(id)s and event_seq > %(after_seq)s
order by event_seq limit %(limit)s;
