-- Circuit breakers of what the executors depend on, shared by all of them: one row each, moved by
-- compare-and-set on its version. Executors read it from memory; nothing on the hot path asks here.
-- depends: 0024_set_aside 0027_order_resolution

create table breaker (
    dependency  text primary key,
    state       text not null default 'CLOSED' check (state in ('CLOSED', 'OPEN', 'HALF_OPEN')),
    version     bigint not null default 1,
    -- How often in a row it opened: the pause doubles with it.
    openings    integer not null default 0 check (openings >= 0),
    -- From when a probe may leave (OPEN), or the one under way counts as lost (HALF_OPEN).
    retry_at_ms bigint not null default 0,
    prober      text not null default '',
    reason      text not null default '',
    changed_at  timestamptz not null default clock_timestamp(),
    check ((state = 'HALF_OPEN') = (prober <> ''))
);

alter table control_change drop constraint control_change_subject_kind_check;
alter table control_change add constraint control_change_subject_kind_check
    check (subject_kind in ('subscription', 'trigger', 'halt', 'order', 'breaker'));
-- A halt that the engine itself sets: the same row, the same audit and under the same lock as an
-- operator's, so that no SUBMITTING which it forbids commits after it.

-- False: what stands already is as strict. Call it before any row is locked.
create function halt_by_engine(
    p_scope text, p_subject text, p_mode text, p_actor text, p_reason text
) returns boolean language plpgsql as $$
declare
    v_before halt%rowtype;
    v_after halt%rowtype;
begin
    perform lock_control_exclusive();
    select * into v_before from halt where scope = p_scope and subject = p_subject;
    if v_before.mode = 'HALTED' or v_before.mode = p_mode then
        return false;
    end if;
    insert into halt (scope, subject, mode, reason)
    values (p_scope, p_subject, p_mode, p_reason)
    on conflict (scope, subject) do update
        set mode = excluded.mode, reason = excluded.reason, set_at = clock_timestamp()
    returning * into v_after;
    perform append_control_change(p_actor, 'engine', 'halt', 'halt', p_scope || ':' || p_subject,
                                  case when v_before.mode is null then null
                                       else to_jsonb(v_before) end,
                                  to_jsonb(v_after));
    return true;
end $$;

create or replace function reduce_wallet(p_wallet text, p_actor text, p_reason text)
returns boolean language sql as $$
    select halt_by_engine('WALLET', p_wallet, 'REDUCING', p_actor, p_reason)
$$;
