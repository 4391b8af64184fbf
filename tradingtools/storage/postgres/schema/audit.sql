-- The audit: one sequence of numbers, and the chain of control's changes.
-- Amounts are bigint micros (1e-6) of USDC, shares or price per share, in every file.

create sequence log_number_seq;

-- One sequence numbers all rows that events are made of, so that they have one order, and a row that
-- follows from another one has the greater number. Whoever takes a number has a transaction id before:
-- when every transaction has ended that had begun when a number was the newest, no row can appear up
-- to that number any more. Writers of order events have changed their order before, so that table
-- keeps its own default.
create function log_number() returns bigint language plpgsql as $$
begin
    perform pg_current_xact_id();
    return nextval('log_number_seq');
end $$;

-- Every change of the control surface: feed for the index, and audit (append-only, hash chained).
-- Written only under the exclusive control lock, so commits come in the order of seq.
create table control_change (
    seq           bigint primary key default log_number(),
    changed_at    timestamptz not null default clock_timestamp(),
    actor         text not null,
    source        text not null,
    action        text not null,
    subject_kind  text not null check (subject_kind in
                      ('subscription', 'trigger', 'halt', 'order', 'breaker', 'message', 'funding',
                       'wallet', 'lot')),
    subject_id    text not null,
    before        jsonb,
    after         jsonb,
    previous_hash bytea not null,
    hash          bytea not null
);
create index control_change_subject on control_change (subject_id, seq);
create index control_change_actor on control_change (actor, seq);

-- The same request under the same key answers the same, for each caller and method.
create table idempotency (
    caller       text not null,
    method       text not null,
    -- SHA-256 of the caller's key, hexadecimal.
    key          text not null,
    request_hash bytea not null,
    resource_id  text not null,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (caller, method, key)
);

-- What one person has asked for and a second one has to ask for as well, before it is done.
create table approval (
    kind        text not null,
    digest      bytea not null,
    asked_by    text not null,
    asked_at    timestamptz not null default clock_timestamp(),
    approved_by text,
    primary key (kind, digest),
    check (approved_by <> asked_by)
);

-- What a change says, as one text: the same for the one who writes the hash and the one who
-- checks it. jsonb has one spelling for equal values.
create function control_change_text(p control_change) returns text language sql stable as $$
    select jsonb_build_object(
        'seq', p.seq, 'changed_at_us', (extract(epoch from p.changed_at) * 1000000)::bigint,
        'actor', p.actor, 'source', p.source, 'action', p.action,
        'subject_kind', p.subject_kind, 'subject_id', p.subject_id,
        'before', p.before, 'after', p.after)::text
$$;

-- Append one change to the chain and return its number. Takes the exclusive control lock, so that
-- the chain has one end and numbers are committed in their order.
create function append_control_change(
    p_actor text, p_source text, p_action text, p_kind text, p_id text,
    p_before jsonb, p_after jsonb
) returns bigint language plpgsql as $$
declare
    v control_change%rowtype;
begin
    perform lock_control_exclusive();
    v.seq := log_number();
    v.changed_at := clock_timestamp();
    v.actor := p_actor;
    v.source := p_source;
    v.action := p_action;
    v.subject_kind := p_kind;
    v.subject_id := p_id;
    v.before := p_before;
    v.after := p_after;
    select hash into v.previous_hash from control_change order by seq desc limit 1;
    v.previous_hash := coalesce(v.previous_hash, decode(repeat('00', 32), 'hex'));
    v.hash := sha256(v.previous_hash || convert_to(control_change_text(v), 'UTF8'));
    insert into control_change select v.*;
    return v.seq;
end $$;

create function refuse_to_change_audit() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;

-- Shared by every SUBMITTING commit, exclusive for pause, halt and every other control change:
-- when a pause has been acknowledged, no SUBMITTING that it forbids can commit any more.
create function lock_control_shared() returns void language sql as
$$ select pg_advisory_xact_lock_shared(7305001) $$;

create function lock_control_exclusive() returns void language sql as
$$ select pg_advisory_xact_lock(7305001) $$;

create trigger control_change_append_only
    before update or delete or truncate on control_change
    for each statement execute function refuse_to_change_audit();
