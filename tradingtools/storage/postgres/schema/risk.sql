-- Risk of many bots together: limits, which control writes, and the shares of them, which engines take.

-- One row a tenant, locked by whoever takes a share: so two engines never pass one limit together.
create table risk_ledger (
    tenant     text primary key,
    -- When a share of it was taken last.
    taken_at   timestamptz not null default clock_timestamp()
);

create table risk_limit (
    tenant           text not null,
    scope            text not null
                         check (scope in ('WALLET', 'EXCHANGE', 'PORTFOLIO', 'GROUP', 'MARKET')),
    -- Wallet, exchange, group or market; '*': each market by itself; empty: of the portfolio.
    subject          text not null,
    -- By name, micros of USDC; the concentration in millionths.
    limits           jsonb not null,
    -- Of a group.
    instruments      text[] not null default '{}',
    version          integer not null default 1,
    changed_by       text not null,
    changed_at       timestamptz not null default clock_timestamp(),
    -- Losses are counted from here: days since the epoch, result at its start, highest result. Null:
    -- not looked at since the limits were set.
    day              integer,
    day_start_micros bigint,
    peak_micros      bigint,
    -- What is reached just now, by name of the limit.
    reached          jsonb not null default '{}',
    primary key (tenant, scope, subject)
);

-- The most that a bot may be long and short in an instrument, durable before it orders more.
create table risk_share (
    bot_id        text not null references bot,
    instrument_id text not null,
    -- The instrument, or what both outcomes of a binary have in common.
    market        text not null,
    long_micros   bigint not null default 0 check (long_micros >= 0),
    short_micros  bigint not null default 0 check (short_micros >= 0),
    -- Worth of what it holds, below zero: short; and when its mark was seen.
    held_micros   bigint not null default 0,
    marked_at     timestamptz,
    primary key (bot_id, instrument_id)
) with (fillfactor = 70);

-- What a bot has made so far, open gains included, at fresh marks.
create table risk_result (
    bot_id        text primary key references bot,
    result_micros bigint not null,
    marked_at     timestamptz not null
) with (fillfactor = 70);

-- Each time a limit was reached, for ever.
create table risk_event (
    event_seq   bigint primary key default log_number(),
    tenant      text not null,
    -- BOT, or a scope of risk_limit.
    scope       text not null,
    subject     text not null,
    limit_name  text not null,
    action      text not null,
    detail      text not null,
    occurred_at timestamptz not null default clock_timestamp()
);
create index risk_event_tenant on risk_event (tenant, event_seq);
create trigger risk_event_append_only
    before update or delete or truncate on risk_event
    for each statement execute function refuse_to_change_audit();

-- A person's wish that all bots of a tenant, or of one exchange of it, cancel, flatten and stay stopped.
create table kill_switch (
    id         text primary key check (id ~ '^kil_[0-9a-f]{32}$'),
    tenant     text not null,
    -- Empty: at all exchanges.
    exchange   text not null,
    reason     text not null,
    actor      text not null,
    set_at     timestamptz not null default clock_timestamp(),
    -- When the last wallet was done.
    done_at    timestamptz,
    -- Until then nothing of it starts again.
    cleared_at timestamptz,
    cleared_by text
);
create unique index kill_switch_standing on kill_switch (tenant, exchange) where cleared_at is null;
create index kill_switch_set on kill_switch (tenant, set_at, id);

-- How far it is with each wallet that has bots.
create table kill_switch_wallet (
    kill_id         text not null references kill_switch,
    wallet_id       text not null references trading_wallet,
    phase           text not null default 'WAITING' check (phase in
                        ('WAITING', 'CANCELLING', 'FLATTENING', 'SECOND_SWEEP', 'DONE')),
    engine          text not null default '',
    bots            integer not null default 0,
    -- That may still fill; that are held still.
    orders          integer not null default 0,
    holdings        integer not null default 0,
    -- After it no request that has left can arrive; the second sweep comes after it.
    last_arrival_at timestamptz,
    -- What is left and cannot be sold, for a person.
    detail          text not null default '',
    changed_at      timestamptz not null default clock_timestamp(),
    primary key (kill_id, wallet_id)
) with (fillfactor = 70);
create index kill_switch_wallet_wallet on kill_switch_wallet (wallet_id);
