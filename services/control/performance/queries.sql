-- name: known
select subscription_id, kind, loss_action, scale_micros, ordinal, exits, control_seq
from performance_action where action_id = %(id)s;

-- name: holds_lease
select is_perfmon(%(partition)s, %(epoch)s) as held;

-- name: act
-- The caller has locked the row and judged it.
update subscription set
    state = %(state)s, version = %(version)s, scale_micros = %(scale_micros)s,
    paused_by = %(paused_by)s, pause_reason = %(pause_reason)s, exiting = %(exiting)s,
    paused_at = case when %(stops)s then clock_timestamp() else paused_at end,
    performance_actions = performance_actions + 1, updated_at = clock_timestamp()
where id = %(id)s;

-- name: reduce
select reduce_wallet(%(proxy)s, %(actor)s, %(reason)s);

-- name: to_sell
-- What a subscription holds, and what its orders under way may still bring.
select l.asset_id, l.condition_id, l.shares_micros > 0 as held
from lot l where l.origin = %(id)s and l.shares_micros > 0
union all
select distinct r.asset_id, r.condition_id, false
from reservation r join orders o using (order_key)
where r.subscription_id = %(id)s and r.released_at is null and o.purpose = 'ENTRY'
  and not exists (select from lot l where l.origin = %(id)s and l.asset_id = r.asset_id
                  and l.shares_micros > 0)
order by asset_id;

-- name: add_exit
insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type, fire_at_ms,
                     exit_of, status)
values (%(exit)s, %(proxy)s, %(condition_id)s, %(asset_id)s, %(id)s, 'TIME_STOP',
        floor(extract(epoch from clock_timestamp()) * 1000)::bigint, %(action)s, %(status)s);

-- name: trigger
select to_jsonb(t) as audit from trigger t where id = %(exit)s;

-- name: note_exit
insert into trigger_event (trigger_id, from_status, to_status, detail)
values (%(exit)s, %(before)s, %(status)s, %(detail)s);

-- name: put
insert into performance_action
    (action_id, subscription_id, ordinal, baseline, kind, loss_action, scale_micros, anchor_micros,
     evidence, exits, control_seq)
values (%(action)s, %(id)s, %(ordinal)s, %(baseline)s, %(kind)s, %(loss_action)s, %(scale_micros)s,
        %(anchor_micros)s, %(evidence)s, %(exits)s, %(seq)s);

-- name: unfired
-- Exits of loss stops that have not fired, held: those that the stop has made, and those that came
-- with fills after it.
select t.id, t.status, to_jsonb(t) as audit from trigger t
where t.follower_proxy = %(proxy)s and t.origin = %(id)s and t.exit_of <> ''
  and t.status = any(%(statuses)s)
order by t.id
for update;

-- name: cancel_exit
update trigger set status = 'CANCELLED', version = version + 1, updated_at = clock_timestamp()
where id = %(exit)s;

-- name: funded
select exists (select from funding where follower_proxy = %(proxy)s) as funded;
