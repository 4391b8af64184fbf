-- name: known
select action_id, subscription_id, kind, ordinal, exits, control_seq
from performance_action where action_id = any(%(ids)s);

-- name: holds_lease
select is_perfmon(%(partition)s, %(epoch)s) as held;

-- name: lock
-- In the order of their ids, held until the transaction ends, with the form that the audit keeps.
select s.*, to_jsonb(s) - 'changed_seq' as audit from subscription s
where id = any(%(ids)s) order by id for update;

-- name: act
-- The caller has locked the rows and judged them.
update subscription s set
    state = n.state, version = n.version, scale_micros = n.scale_micros, paused_by = n.paused_by,
    pause_reason = n.pause_reason, exiting = n.exiting,
    paused_at = case when n.stops then clock_timestamp() else s.paused_at end,
    performance_actions = s.performance_actions + 1, updated_at = clock_timestamp()
from jsonb_to_recordset(%(rows)s::jsonb)
    as n(id text, state text, version bigint, scale_micros bigint, paused_by text,
         pause_reason text, exiting boolean, stops boolean)
where s.id = n.id
returning s.id, s.scale_micros, to_jsonb(s) - 'changed_seq' as audit;

-- name: mark_changed
update subscription s set changed_seq = n.seq
from jsonb_to_recordset(%(rows)s::jsonb) as n(id text, seq bigint) where s.id = n.id;

-- name: reduce
select reduce_wallet(%(proxy)s, %(actor)s, %(reason)s);

-- name: to_sell
-- What subscriptions hold, and what their orders under way may still bring.
select l.origin, l.asset_id, l.condition_id, true as held
from lot l where l.origin = any(%(ids)s) and l.shares_micros > 0
union all
select distinct r.subscription_id, r.asset_id, r.condition_id, false
from reservation r join orders o using (order_key)
where r.subscription_id = any(%(ids)s) and r.released_at is null and o.purpose = 'ENTRY'
  and not exists (select from lot l where l.origin = r.subscription_id
                  and l.asset_id = r.asset_id and l.shares_micros > 0)
order by origin, asset_id;

-- name: add_exits
insert into trigger as t (id, follower_proxy, condition_id, asset_id, origin, trigger_type,
                          fire_at_ms, exit_of, status)
select id, proxy, condition_id, asset_id, origin, 'TIME_STOP',
       floor(extract(epoch from clock_timestamp()) * 1000)::bigint, action, status
from jsonb_to_recordset(%(exits)s::jsonb)
    as e(id text, proxy text, condition_id text, asset_id text, origin text, action text,
         status text)
returning t.id, to_jsonb(t) as audit;

-- name: note_exits
insert into trigger_event (trigger_id, from_status, to_status, detail)
select id, before, status, detail
from jsonb_to_recordset(%(exits)s::jsonb)
    as e(place integer, id text, before text, status text, detail text)
order by place;

-- name: put
insert into performance_action
    (action_id, subscription_id, ordinal, baseline, kind, loss_action, scale_micros, anchor_micros,
     evidence, exits, control_seq)
select action_id, subscription_id, ordinal, baseline, kind, loss_action, scale_micros,
       anchor_micros, evidence, exits, control_seq
from jsonb_to_recordset(%(rows)s::jsonb)
    as n(action_id text, subscription_id text, ordinal integer, baseline integer, kind text,
         loss_action text, scale_micros bigint, anchor_micros bigint, evidence jsonb, exits text[],
         control_seq bigint);

-- name: unfired
-- Exits of loss stops that have not fired, held: those that the stop has made, and those that came
-- with fills after it.
select t.id, t.status, to_jsonb(t) as audit from trigger t
where t.follower_proxy = %(proxy)s and t.origin = %(id)s and t.exit_of <> ''
  and t.status = any(%(statuses)s)
order by t.id
for update;

-- name: cancel_exits
update trigger t set status = 'CANCELLED', version = version + 1, updated_at = clock_timestamp()
where t.id = any(%(ids)s)
returning t.id, to_jsonb(t) as audit;

-- name: funded
select exists (select from funding where follower_proxy = %(proxy)s) as funded;
