-- The log of events: what happened, in one order, each with a gapless number. It is made from the
-- append-only tables by `services/events` and can be made again from them, byte for byte.
-- depends: 0102_claims_of_a_writer

-- One sequence numbers all rows that events are made of, so that they have one order, and a row that
-- follows from another one has the greater number. Whoever takes a number has a transaction id before:
-- when every transaction has ended that had begun when a number was the newest, no row can appear up
-- to that number any more. Writers of order events have changed their order before, so that table
-- keeps its own default.
create function log_number() returns bigint language plpgsql as $$
begin
    perform pg_current_xact_id();
    return nextval('order_event_event_seq_seq');
end $$;

do $$ begin perform setval('order_event_event_seq_seq', greatest(
    (select max(event_seq) from order_event), (select max(fill_seq) from booking),
    (select max(event_seq) from trigger_event), (select max(seq) from control_change),
    (select max(seq) from journal), (select max(id) from poison), 0) + 1, false);
end $$;

alter table booking alter column fill_seq drop identity;
alter table booking alter column fill_seq set default log_number();
alter table trigger_event alter column event_seq drop identity;
alter table trigger_event alter column event_seq set default log_number();
alter table journal alter column seq drop identity;
alter table journal alter column seq set default log_number();
alter table poison alter column id drop identity;
alter table poison alter column id set default log_number();
alter table control_change alter column seq drop identity;
alter table control_change alter column seq set default log_number();

create or replace function append_control_change(
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

-- The newest order event, not the newest number: other tables take numbers, too. The numbers below it
-- were given out before it was, to writers that had their transaction ids by then.
create or replace function seal_horizon(out to_seq bigint, out before_xid bigint)
language plpgsql as $$
begin
    select coalesce(max(event_seq), 0) into to_seq from order_event;
    before_xid := pg_current_xact_id()::text::bigint;
end $$;

-- Each move of a circuit breaker; `breaker` has only where it stands.
create table breaker_event (
    event_seq   bigint primary key default log_number(),
    dependency  text not null,
    from_state  text not null,
    to_state    text not null,
    reason      text not null,
    occurred_at timestamptz not null default clock_timestamp()
);

create function note_breaker_move() returns trigger language plpgsql as $$
begin
    insert into breaker_event (dependency, from_state, to_state, reason)
    values (new.dependency, coalesce(old.state, 'CLOSED'), new.state, new.reason);
    return null;
end $$;

create trigger breaker_moved after update on breaker
    for each row when (old.state is distinct from new.state) execute function note_breaker_move();

create table event (
    number          bigint primary key check (number > 0),
    -- The number of the row that it was made of, and which one of that row's events it is.
    log_number      bigint not null,
    part            smallint not null,
    type            text not null,
    subject         text not null,
    occurred_at     timestamptz not null,
    follower_proxy  text not null,
    subscription_id text not null,
    traceparent     text not null,
    -- JSON, as every reader gets it.
    data            text not null,
    unique (log_number, part)
);
create index event_follower on event (follower_proxy, number) where follower_proxy <> '';
create index event_subscription on event (subscription_id, number) where subscription_id <> '';

-- Up to which number of a row the log is made.
create table event_log_position (
    only_one   boolean primary key default true check (only_one),
    log_number bigint not null,
    number     bigint not null
);
insert into event_log_position (log_number, number) values (0, 0);

create trigger breaker_event_append_only
    before update or delete or truncate on breaker_event
    for each statement execute function refuse_to_change_audit();

alter table partition_lease drop constraint partition_lease_role_check;
alter table partition_lease add constraint partition_lease_role_check
    check (role in ('router', 'executor', 'confirm', 'guard', 'events'));
