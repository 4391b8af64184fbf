-- name: lock
-- Nothing that a change forbids can be sent between this and the change's commit. Whoever waits
-- here, or afterwards for a row, makes every SUBMITTING wait behind him, and so does a control that
-- stands still: not for long.
select set_config('lock_timeout', '3s', true),
       set_config('idle_in_transaction_session_timeout', %(standing)s, true),
       lock_control_exclusive(),
       set_config('lock_timeout', %(row)s, true);

-- name: append
select append_control_change(%(actor)s, %(source)s, %(action)s, %(kind)s, %(id)s,
                             %(before)s, %(after)s) as seq;

-- name: append_all
-- Several entries in their order: each is chained to the one before.
select e.place, append_control_change(%(actor)s, %(source)s, e.action, e.kind, e.id, e.before,
                                      e.after) as seq
from (select * from jsonb_to_recordset(%(entries)s::jsonb)
          as t(place integer, action text, kind text, id text, before jsonb, after jsonb)
      order by place) e;

-- name: known_request
select request_hash, resource_id from idempotency
where caller = %(caller)s and method = %(method)s and key = %(key)s;

-- name: note_request
insert into idempotency (caller, method, key, request_hash, resource_id)
values (%(caller)s, %(method)s, %(key)s, %(request_hash)s, %(resource_id)s);

-- name: ping
select 1 as alive;

-- name: one_snapshot
set transaction isolation level repeatable read, read only;
