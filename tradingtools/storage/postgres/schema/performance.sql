-- Performance rules: where each subscription stands, which perfmon writes, and what was done to it, which
-- control writes.

-- Filled from tradingtools/domain/performance_states.py; an empty one: nobody had looked before.
create table performance_transition (
    from_state text not null,
    to_state   text not null,
    primary key (from_state, to_state)
);

create table performance (
    subscription_id text primary key references subscription,
    state           text not null,
    from_state      text not null,
    since           timestamptz not null default clock_timestamp(),
    -- Where its windows began, and its peaks (services/perfmon/core/standing.py).
    standing        jsonb not null,
    updated_at      timestamptz not null default clock_timestamp(),
    foreign key (from_state, state) references performance_transition
) with (fillfactor = 70);

create function keep_performance_state() returns trigger language plpgsql as $$
begin
    if new.from_state <> old.state then
        raise check_violation using
            message = format('%s is %s, not %s', new.subscription_id, old.state, new.from_state),
            table = 'performance', constraint = 'performance_state_check';
    end if;
    new.since := clock_timestamp();
    return new;
end $$;

create trigger performance_state_follows before update of state on performance
    for each row when (new.state <> old.state) execute function keep_performance_state();

-- One row an action, for ever: what makes repeating it harmless, with its evidence.
create table performance_action (
    action_id       text primary key check (action_id ~ '^prf_[0-9a-f]{32}$'),
    subscription_id text not null references subscription,
    -- How many the subscription had had before.
    ordinal         integer not null check (ordinal >= 0),
    baseline        integer not null,
    kind            text not null check (kind in ('STOP', 'SCALE')),
    -- What a stop does; null: a step of the scale.
    loss_action     text check (loss_action in ('PAUSE', 'PAUSE_AND_EXIT', 'REDUCE_ONLY')),
    -- The scale from then on, 1e-6.
    scale_micros    bigint not null check (scale_micros > 0),
    -- The result from which the next step counts, USDC 1e-6.
    anchor_micros   bigint not null,
    -- Rule, numbers, and points of the result.
    evidence        jsonb not null,
    -- Triggers that sell what was held.
    exits           text[] not null default '{}',
    control_seq     bigint not null,
    acted_at        timestamptz not null default clock_timestamp(),
    unique (subscription_id, ordinal),
    check ((kind = 'STOP') = (loss_action is not null))
);

create trigger performance_action_append_only
    before update or delete or truncate on performance_action
    for each statement execute function refuse_to_change_audit();

-- Whether perfmon's lease is this one; it stays so until the transaction ends. For control, which may
-- not lock the row of another's lease.
create function is_perfmon(p_partition integer, p_epoch bigint) returns boolean language sql as $$
    select holds_lease('perfmon', p_partition, p_epoch)
$$;
