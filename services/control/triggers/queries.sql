-- name: insert
insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type,
                     price_micros, size_micros, callback_micros, callback_ppm, fire_at_ms,
                     rungs, break_even, two_ticks, follower_user_id,
                     follower_wallet_id, status, created_at, updated_at)
values (%(id)s, %(wallet)s, %(condition_id)s, %(asset_id)s, %(origin)s, %(trigger_type)s,
        %(price_micros)s, %(size_micros)s, %(callback_micros)s, %(callback_ppm)s, %(fire_at_ms)s,
        %(rungs)s, %(break_even)s, %(two_ticks)s, %(user_id)s,
        %(wallet_id)s, %(status)s, statement_timestamp(), statement_timestamp());

-- name: lot
-- What the lot holds, kept as it is until the transaction ends.
select condition_id, shares_micros from lot
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = %(origin)s
for share;

-- name: make_manual_lot
insert into lot (follower_proxy, asset_id, origin, condition_id)
values (%(wallet)s, %(asset_id)s, 'manual', %(condition_id)s)
on conflict do nothing;

-- name: lock_manual_lot
-- What is reserved is read by the next statement, whose snapshot is taken after the lock.
select condition_id, shares_micros from lot
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = 'manual'
for update;

-- name: manual_reserved
-- Shares of a manual lot that exits are going to take; what they have sold has left it.
select coalesce(sum(greatest(r.shares_micros - o.filled_size_micros, 0)), 0)::bigint
           as reserved_micros
from reservation r join orders o using (order_key)
where r.released_at is null and r.follower_proxy = %(wallet)s and r.asset_id = %(asset_id)s
  and o.subscription_id is null;

-- name: manual_unsettled
-- Shares of a manual lot that exits have sold and of which nobody has reported yet that they are settled.
-- After ten minutes they are, or came back, whoever tells of it or not.
select coalesce(sum(f.size_micros), 0)::bigint as unsettled_micros
from orders o join fill f using (order_key)
where o.follower_proxy = %(wallet)s and o.asset_id = %(asset_id)s
  and o.subscription_id is null and f.status = 'MATCHED'
  and f.matched_at > clock_timestamp() - interval '10 minutes';

-- name: empty_manual_entries
update lot_entry set size_micros = 0, cost_micros = 0
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = 'manual'
  and size_micros > 0;

-- name: add_manual_entry
-- What it has cost is not known here.
insert into lot_entry (follower_proxy, asset_id, origin, trade_id, size_micros, cost_micros)
values (%(wallet)s, %(asset_id)s, 'manual', 'by hand', %(held)s, 0);

-- name: tell_manual_lot
update lot set
    shares_micros = %(held)s, cost_micros = 0,
    bought_size_micros = bought_size_micros + %(held)s - shares_micros,
    by_hand_micros = by_hand_micros + %(held)s - shares_micros,
    updated_at = clock_timestamp()
where follower_proxy = %(wallet)s and asset_id = %(asset_id)s and origin = 'manual';

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
-- Oldest first, after a key, perhaps of some statuses only; the next two end it.
select t.* from trigger t
where follower_proxy = %(wallet)s

-- name: list_of_all
-- The same, of all wallets.
select t.* from trigger t
where true

-- name: list_standing_at
-- Looked for among the wallet's, in their order, until the page is full.
  and status = any(%(statuses)s)

-- name: list_after
  and (%(after_at)s::timestamptz is null
       or (created_at, id) > (%(after_at)s::timestamptz, %(after_id)s::text))
order by created_at, id limit %(limit)s;

-- name: history
-- Oldest first, after an event's number.
select * from trigger_event
where trigger_id = %(id)s and event_seq > %(after_seq)s
order by event_seq limit %(limit)s;
