-- name: live_triggers
-- Everything that may still fire or is closing.
select t.id, t.follower_proxy, t.asset_id, t.origin, t.trigger_type, t.price_micros,
       t.size_micros, t.status, t.version, t.generation, t.callback_micros, t.callback_ppm,
       t.peak_micros, t.fire_at_ms, t.sold_micros, t.rungs, t.rungs_done,
       t.rungs_fired, t.basis_micros, t.two_ticks, t.made_for, t.condition_id,
       coalesce(s.follower_user_id, t.follower_user_id) as user_id,
       coalesce(s.follower_wallet_id, t.follower_wallet_id) as wallet_id,
       coalesce(s.leader, '') as leader, coalesce(s.version, 0) as subscription_version
from trigger t left join subscription s on s.id = t.origin
where t.status not in ('DONE', 'CANCELLED', 'RESOLVED')

-- name: triggers_of_lots
-- What may still fire or is closing of some lots, oldest first.
select t.id, t.follower_proxy, t.asset_id, t.origin, t.trigger_type, t.price_micros,
       t.size_micros, t.status, t.version, t.generation, t.callback_micros, t.callback_ppm,
       t.peak_micros, t.fire_at_ms, t.sold_micros, t.rungs, t.rungs_done,
       t.rungs_fired, t.basis_micros, t.two_ticks, t.made_for, t.condition_id,
       coalesce(s.follower_user_id, t.follower_user_id) as user_id,
       coalesce(s.follower_wallet_id, t.follower_wallet_id) as wallet_id,
       coalesce(s.leader, '') as leader, coalesce(s.version, 0) as subscription_version
from unnest(%(proxies)s::text[], %(assets)s::text[], %(origins)s::text[])
         as k(follower_proxy, asset_id, origin)
join trigger t using (follower_proxy, asset_id, origin)
left join subscription s on s.id = t.origin
where t.status not in ('DONE', 'CANCELLED', 'RESOLVED')
order by t.created_at, t.id

-- name: unsettled
-- Whether a sale of a lot, but for those of one trigger, may still be undone.
select exists (
    select 1 from orders o join fill f using (order_key)
    where o.follower_proxy = %(follower_proxy)s and o.asset_id = %(asset_id)s
      and coalesce(o.subscription_id, 'manual') = %(origin)s and o.side = 'SELL'
      and o.trigger_id is distinct from %(besides)s and f.status = 'MATCHED') as unsettled

-- name: incoming
-- Whether a purchase of a wallet and asset may still bring shares.
select exists (
    select 1 from reservation r join orders o using (order_key)
    where r.released_at is null and r.follower_proxy = %(follower_proxy)s
      and r.asset_id = %(asset_id)s and o.side = 'BUY') as incoming

-- name: begun_anew
-- Whether the lot of a default trigger has another of its kind, which was made for a newer position and
-- guards it. Without one the lot would be left with nothing of the kind.
select exists (
    select 1 from trigger t join trigger n using (follower_proxy, asset_id, origin, trigger_type)
    where t.id = %(id)s and t.made_for <> '' and n.made_for <> '' and n.made_for <> t.made_for
      and n.status not in ('DONE', 'CANCELLED', 'RESOLVED')
      and n.created_at > t.created_at) as begun

-- name: changed_triggers
-- Triggers that the control surface has touched, whatever their state.
select t.id, t.follower_proxy, t.asset_id, t.origin, t.trigger_type, t.price_micros,
       t.size_micros, t.status, t.version, t.generation, t.callback_micros, t.callback_ppm,
       t.peak_micros, t.fire_at_ms, t.sold_micros, t.rungs, t.rungs_done,
       t.rungs_fired, t.basis_micros, t.two_ticks, t.made_for, t.condition_id,
       coalesce(s.follower_user_id, t.follower_user_id) as user_id,
       coalesce(s.follower_wallet_id, t.follower_wallet_id) as wallet_id,
       coalesce(s.leader, '') as leader, coalesce(s.version, 0) as subscription_version
from trigger t left join subscription s on s.id = t.origin
where t.id in (select subject_id from control_change
               where subject_kind = 'trigger' and seq > %(after)s)

-- name: manual_lots
-- What callers have said of lots that were bought by hand, with triggers that were touched since.
select l.follower_proxy, l.asset_id, l.origin, l.shares_micros
from lot l
where l.origin = 'manual' and exists (
    select 1 from trigger t join control_change c on c.subject_id = t.id
    where c.subject_kind = 'trigger' and c.seq > %(after)s
      and t.follower_proxy = l.follower_proxy and t.asset_id = l.asset_id
      and t.origin = l.origin)

-- name: control_seq
select coalesce(max(seq), 0) as seq from control_change

-- name: halts
-- What may send nothing at all; REDUCING lets exits through.
select scope, subject from halt where mode = 'HALTED'

-- name: held_lots
select follower_proxy, asset_id, origin, shares_micros from lot where shares_micros > 0

-- name: lot_shares
-- What a lot holds by now.
select coalesce(sum(shares_micros), 0)::bigint as shares_micros from lot
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and origin = %(origin)s

-- name: booked_to
-- The newest booking: lots that are read by now have it and what came before.
select coalesce(max(fill_seq), 0) as seq from booking

-- name: lock_triggers
-- In the order of their ids; then the lots are locked in theirs, as everybody does. Whose a trigger
-- is comes from its subscription, for a manual lot from itself. Exiting: a loss stop sells all.
select t.*, coalesce(s.follower_user_id, t.follower_user_id) as user_id,
       coalesce(s.follower_wallet_id, t.follower_wallet_id) as wallet_id,
       coalesce(s.leader, '') as leader, coalesce(s.version, 0) as subscription_version,
       coalesce(s.exiting, false) as exiting
from trigger t left join subscription s on s.id = t.origin
where t.id = any(%(ids)s)
order by t.id
for update of t

-- name: lock_lots
-- What is reserved is read by the next statement, whose snapshot is taken after the lock.
select 1 as locked from lot l
join (select distinct follower_proxy, asset_id, origin from trigger where id = any(%(ids)s)) k
    using (follower_proxy, asset_id, origin)
order by l.follower_proxy, l.asset_id, l.origin
for update of l

-- name: locked_lots
-- The lots of triggers, with what no other exit is going to take: what is booked of a sale has left
-- the lot, and only the rest of its reservation counts. In one statement with it.
select l.follower_proxy, l.asset_id, l.origin, l.shares_micros, l.cost_micros,
       l.shares_micros - coalesce((
           select sum(greatest(r.shares_micros - o.filled_size_micros, 0))
           from reservation r join orders o using (order_key)
           where r.released_at is null and r.follower_proxy = l.follower_proxy
             and r.asset_id = l.asset_id and coalesce(o.subscription_id, 'manual') = l.origin
       ), 0)::bigint as free_micros
from lot l
join (select distinct follower_proxy, asset_id, origin from trigger where id = any(%(ids)s)) k
    using (follower_proxy, asset_id, origin)

-- name: hold_foreseen
-- Locks a trigger and its lot. Raises SerializationFailure: something of it is not so, or another
-- exit has reserved shares of the lot.
select hold_foreseen(
    %(id)s, %(version)s, %(peak_micros)s, %(condition_id)s, %(user_id)s, %(wallet_id)s, %(leader)s,
    %(subscription_version)s, %(shares_micros)s) as held

-- name: fire_foreseen
-- The same; then the trigger fires, and its exit's order is claimed. Raises as `claim_exits`, too.
select seq, claimed_ns
from fire_foreseen(%(partition)s, %(epoch)s, %(record_key)s, %(payload)s, %(status)s, %(version)s,
                   %(peak_micros)s, %(shares_micros)s, %(rungs_fired)s, %(basis_micros)s,
                   %(fired)s, %(detail)s)

-- name: claim_exits
-- Raises NoDataFound: the lease is not held; UniqueViolation: the record is there already.
select seq, claimed_ns
from claim_and_build('guard', %(record_key)s, %(partition)s, %(epoch)s, %(payload)s,
                     %(order_count)s)

-- name: as_owner
-- Raises NoDataFound: the lease is not held.
select as_owner('guard', %(partition)s, %(epoch)s) as held

-- name: exit_order
select state, failed_kind, reason, ordinal, copy_key from orders where order_key = %(order_key)s

-- name: sold
-- Shares that a trigger's exits have sold and that stand: all of them, and the one under way; and
-- how many slices of that one the venue has tried: only these make the next one sell lower.
select coalesce(sum(filled_size_micros), 0)::bigint as sold_micros,
       coalesce(sum(filled_size_micros) filter (where copy_key = %(copy_key)s), 0)::bigint
           as exit_sold_micros,
       coalesce(sum(filled_notional_micros) filter (where copy_key = %(copy_key)s), 0)::bigint
           as exit_notional_micros,
       count(*) filter (where copy_key = %(copy_key)s
                        and (state = 'CONFIRMED' or failed_kind = 'KILLED')) as tried
from orders where trigger_id = %(trigger_id)s

-- name: move_triggers
-- The caller has locked the rows; all of them are changed, or it raises.
with m as materialized (
    select * from jsonb_to_recordset(%(moves)s::jsonb) as m(
        id text, version bigint, status text, generations integer, slice integer,
        sold_micros bigint, rungs_done integer, rungs_fired integer, basis_micros bigint,
        order_key text, fired jsonb, next_slice_ms bigint)
),
moved as (
    update trigger t set
        status = m.status,
        generation = t.generation + m.generations,
        slice = m.slice,
        sold_micros = m.sold_micros,
        rungs_done = m.rungs_done,
        rungs_fired = m.rungs_fired,
        basis_micros = m.basis_micros,
        order_key = m.order_key,
        fired = coalesce(m.fired, t.fired),
        next_slice_at = clock_timestamp() + make_interval(secs => m.next_slice_ms / 1000.0),
        version = t.version + 1,
        updated_at = clock_timestamp()
    from m
    -- The array says that few rows are looked up: planned on an empty table, a join would read all.
    where t.id = any(array(select id from m)) and t.id = m.id and t.version = m.version
    returning t.id, t.follower_proxy, t.asset_id, t.origin, t.trigger_type, t.price_micros,
              t.size_micros, t.status, t.version, t.callback_micros, t.callback_ppm, t.peak_micros,
              t.fire_at_ms, t.sold_micros, t.rungs, t.rungs_done, t.rungs_fired,
              t.basis_micros, t.two_ticks, t.made_for, t.generation
)
select moved.* from m left join moved using (id) where as_locked(m.id, moved.id)

-- name: record_peaks
-- New peaks as one record, of those triggers whose version is as given and whose lots hold as many
-- shares, and the ids of the others. Without a number: there is no such trigger, or this record is
-- there already. Raises NoDataFound: the lease is not held.
select seq, refused from record_peaks(
    %(partition)s, %(epoch)s, %(record_key)s, %(ids)s::text[], %(versions)s::bigint[],
    %(shares)s::bigint[], %(peaks)s::bigint[], %(stops)s::bigint[])

-- name: unfolded_peaks
-- Records of peaks, oldest first.
select seq, triggers, peaks, stops from peak_record order by seq

-- name: fold_peaks
-- How many rows have followed: those with a lower peak.
select fold_peaks(%(ids)s::text[], %(peaks)s::bigint[], %(stops)s::bigint[], %(reported_micros)s)
    as folded

-- name: forget_peaks
delete from peak_record where seq = any(%(seqs)s::bigint[])

-- name: break_even
-- Stops of a lot that want it, moved up to the entry price; never down.
update trigger set
    price_micros = %(price)s, version = version + 1, updated_at = clock_timestamp()
where follower_proxy = %(follower_proxy)s and asset_id = %(asset_id)s and origin = %(origin)s
  and break_even and price_micros < %(price)s and status in ('WAITING', 'ARMED', 'SUSPENDED')
returning id, follower_proxy, asset_id, origin, trigger_type, price_micros, size_micros, status,
          version, callback_micros, callback_ppm, peak_micros, fire_at_ms,
          sold_micros, rungs, rungs_done, rungs_fired, basis_micros, two_ticks, made_for,
          generation

-- name: add_events
insert into trigger_event (trigger_id, from_status, to_status, detail, order_key)
select trigger_id, from_status, to_status, detail, order_key
from jsonb_to_recordset(%(events)s::jsonb) as e(
    trigger_id text, from_status text, to_status text, detail text, order_key text, place integer)
order by place

-- name: moved_on
-- Triggers whose exit has ended, those whose next slice is due, and those whose shown status does not
-- say yet that the exit's outcome is (un)known, these last; of every partition. No pause is longer than
-- 64 s: what is due much later was to be due before the clock stepped back.
select t.id, t.follower_proxy, o.state in ('CONFIRMED', 'FAILED', 'LOST') as ended
from trigger t join orders o on o.order_key = t.order_key
where t.status in ('TRIGGERED', 'CLOSING', 'NEEDS_CONFIRM')
  and (o.state in ('CONFIRMED', 'FAILED', 'LOST')
           and (t.next_slice_at is null or t.next_slice_at <= clock_timestamp()
                or t.next_slice_at > clock_timestamp() + interval '80 seconds')
       or t.status <> 'NEEDS_CONFIRM' and o.state in ('UNKNOWN', 'DEAD', 'RESURRECTED')
       or t.status <> 'CLOSING' and o.state = 'SUBMITTED')
order by ended desc
