-- Bots: what people have made of them, which control writes, and their orders, which engines write.

-- Filled from tradingtools/domain/bot_states.py; an empty one: there was none before.
create table bot_transition (
    from_state text not null,
    to_state   text not null,
    primary key (from_state, to_state)
);

create table bot (
    -- Short: the ids of its orders begin with it.
    id           text primary key check (id ~ '^[a-z0-9]{12}$'),
    tenant       text not null,
    name         text not null check (name <> ''),
    wallet_id    text not null references trading_wallet,
    strategy     text not null,
    -- Settings of the strategy, as its message in JSON.
    config       jsonb not null,
    -- <venue>:<symbol> of all that it trades.
    instruments  text[] not null check (cardinality(instruments) > 0),
    -- Limits by name, decimal texts; one that is not there does not exist.
    limits       jsonb not null default '{}',
    -- What a person wants of it.
    desired      text not null default 'IDLE'
                     check (desired in ('IDLE', 'RUNNING', 'PAUSED', 'STOPPED')),
    -- Rises with each change that a person makes.
    version      bigint not null default 1,
    state        text not null default 'IDLE',
    from_state   text not null default '',
    -- Why it is there, for a person; of a risk stop, the limit with its numbers.
    reason       text not null default '',
    -- A limit demands that what it holds is closed, and that is not done yet.
    flattening   boolean not null default false,
    -- Of the engine that has it, or had it last.
    engine       text not null default '',
    epoch        bigint not null default 0,
    created_at   timestamptz not null default clock_timestamp(),
    changed_at   timestamptz not null default clock_timestamp(),
    -- SHA-256 of caller and Idempotency-Key, and of what was asked under it.
    request_key  bytea unique,
    request_hash bytea,
    foreign key (from_state, state) references bot_transition
) with (fillfactor = 70);
create unique index bot_name on bot (tenant, name);
create index bot_wallet on bot (wallet_id);
create index bot_created on bot (created_at, id);

create function keep_bot_state() returns trigger language plpgsql as $$
begin
    if new.from_state <> old.state then
        raise check_violation using
            message = format('%s is %s, not %s', new.id, old.state, new.from_state),
            table = 'bot', constraint = 'bot_state_check';
    end if;
    new.changed_at := clock_timestamp();
    return new;
end $$;
create trigger bot_state_follows before update of state on bot
    for each row when (new.state <> old.state) execute function keep_bot_state();

-- Each change of state and each word of a person, for ever.
create table bot_event (
    event_seq   bigint primary key default log_number(),
    bot_id      text not null references bot,
    -- A state, or what a person did: created, changed, started, paused, stopped, resumed.
    what        text not null,
    actor       text not null,
    reason      text not null default '',
    occurred_at timestamptz not null default clock_timestamp()
);
create index bot_event_bot on bot_event (bot_id, event_seq);
create trigger bot_event_append_only
    before update or delete or truncate on bot_event
    for each statement execute function refuse_to_change_audit();

-- What may leave without waiting for a disk; committed before the first order under it leaves.
create table bot_permit (
    bot_id        text not null references bot,
    epoch         bigint not null,
    instrument_id text not null,
    side          text not null check (side in ('BUY', 'SELL')),
    first_number  bigint not null,
    last_number   bigint not null check (last_number >= first_number),
    worst_price   bigint not null,
    size          bigint not null check (size > 0),
    expires_at    timestamptz not null,
    given_at      timestamptz not null default clock_timestamp(),
    -- When a later owner had read what became of its orders; null: any of them may be unknown.
    read_at       timestamptz,
    primary key (bot_id, epoch, instrument_id, side, first_number)
);
create index bot_permit_unread on bot_permit (bot_id) where read_at is null;

-- Orders as their engine knew them last; written behind the wire, complete after reconciliation.
-- Prices and sizes in the units of the instrument.
create table bot_order (
    order_id       text primary key,
    bot_id         text not null references bot,
    epoch          bigint not null,
    slot           text not null,
    instrument_id  text not null,
    side           text not null check (side in ('BUY', 'SELL')),
    price          bigint not null,
    size           bigint not null,
    filled         bigint not null default 0,
    state          text not null,
    pending        text not null default 'NONE',
    venue_order_id text not null default '',
    settled        boolean not null default false,
    -- The whole order (services/bots/store.py), so that another engine goes on with it.
    detail         jsonb not null,
    created_at     timestamptz not null default clock_timestamp(),
    changed_at     timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index bot_order_unsettled on bot_order (bot_id) where not settled;
create index bot_order_bot on bot_order (bot_id, created_at, order_id);

-- Transitions of orders that people are notified of: no row for each quote that comes and goes.
create table bot_order_event (
    event_seq     bigint primary key default log_number(),
    order_id      text not null,
    bot_id        text not null references bot,
    slot          text not null,
    instrument_id text not null,
    side          text not null check (side in ('BUY', 'SELL')),
    from_state    text not null,
    to_state      text not null,
    -- Of its exchange, or ours: NO_ANSWER, NOT_FOUND; empty: there was none.
    code          text not null,
    -- As they were then, decimal.
    price         text not null,
    size          text not null,
    filled        text not null,
    occurred_at   timestamptz not null default clock_timestamp()
);
create index bot_order_event_bot on bot_order_event (bot_id, event_seq);
create index bot_order_event_order on bot_order_event (order_id, event_seq);
create trigger bot_order_event_append_only
    before update or delete or truncate on bot_order_event
    for each statement execute function refuse_to_change_audit();

-- An operator's word on an order that nobody could settle; its engine books it, and says when.
create table bot_order_settlement (
    order_id text primary key references bot_order,
    bot_id   text not null references bot,
    -- In units of size.
    filled   bigint not null check (filled >= 0),
    actor    text not null,
    reason   text not null check (reason <> ''),
    asked_at timestamptz not null default clock_timestamp(),
    done_at  timestamptz
);
create index bot_order_settlement_due on bot_order_settlement (bot_id) where done_at is null;

-- Booked once; an undone one has a row of its own.
create table bot_fill (
    venue         text not null,
    -- The trade at the venue with the order that took part in it.
    trade_id      text not null,
    -- Of a trade of the exchange's own: its cause with the bot, such as liquidation:<bot>.
    order_id      text not null,
    undone        boolean not null default false,
    bot_id        text not null references bot,
    instrument_id text not null,
    side          text not null check (side in ('BUY', 'SELL')),
    price         bigint not null,
    size          bigint not null check (size > 0),
    -- In units of money of the instrument; below zero: a rebate.
    fee           bigint not null,
    fee_currency  text not null,
    maker         boolean not null,
    -- The middle of the book when it was booked; null: there was none.
    mid_price     bigint,
    traded_at     timestamptz not null,
    booked_at     timestamptz not null default clock_timestamp(),
    event_seq     bigint not null default log_number(),
    primary key (venue, order_id, trade_id, undone)
);
create index bot_fill_bot on bot_fill (bot_id, event_seq);
create index bot_fill_log on bot_fill (event_seq);

-- Funding payments of the exchange, each bot's part; in units of money, below zero: paid.
create table bot_funding (
    bot_id        text not null references bot,
    venue         text not null,
    payment_id    text not null,
    instrument_id text not null,
    amount        bigint not null,
    paid_at       timestamptz not null,
    event_seq     bigint not null default log_number(),
    primary key (bot_id, venue, payment_id)
);

-- Sets of outcomes that a wallet merges or redeems on the chain: written before a change is sent. One
-- at a time, and its nonce is used once there, so that it may be sent again.
create table outcome_set_change (
    id            text primary key,
    wallet_id     text not null references trading_wallet,
    -- Whose sets are merged; null: a redemption, which bots have booked when the market resolved.
    bot_id        text references bot,
    action        text not null check (action in ('split', 'merge', 'redeem')),
    instrument_id text not null,
    -- The other outcome of a merge.
    complement_id text not null default '',
    size          bigint not null check (size > 0),
    nonce         bigint not null,
    deadline      timestamptz not null,
    sent          integer not null default 0,
    state         text not null default 'PENDING' check (state in ('PENDING', 'DONE', 'FAILED')),
    -- Why it was not made.
    detail        text not null default '',
    created_at    timestamptz not null default clock_timestamp(),
    ended_at      timestamptz
);
create unique index outcome_set_change_pending on outcome_set_change (wallet_id)
    where state = 'PENDING';

-- Positions that are not what the fills of a wallet's bots make, in units of size.
create table position_gap (
    wallet_id     text not null references trading_wallet,
    instrument_id text not null,
    -- What the bots' fills make, and what the exchange says.
    believed      bigint not null,
    held          bigint not null,
    -- What bots believe in and the exchange does not have: nothing opens there; 0: a stranger holds more.
    missing       bigint not null check (missing >= 0),
    -- A person has explained this difference, so that bots open there again.
    explained     boolean not null default false,
    -- Bots' holdings were made smaller by it; nothing opens there until a person explains it.
    corrected     boolean not null default false,
    seen_at       timestamptz not null default clock_timestamp(),
    primary key (wallet_id, instrument_id)
);

-- Where its strategy stood, and what it holds, when its engine wrote it last.
create table bot_standing (
    bot_id      text primary key references bot,
    epoch       bigint not null,
    -- Of the next order.
    number      bigint not null,
    -- State of the strategy; what it says of each slot.
    strategy    jsonb not null,
    explanation jsonb not null default '{}',
    -- By instrument: size, cost, realised, fees, funding, volume.
    holdings    jsonb not null default '{}',
    -- Result, its unrealised part, peak and start of day, in units of money; null: no fresh marks.
    equity      jsonb,
    -- By instrument, as people read them: size, mark and what was made, decimal.
    positions   jsonb not null default '{}',
    -- The version of the bot that its engine goes by, and its settings and limits: a later version may
    -- not fit, and the next engine goes by these, too.
    version     bigint not null default 0,
    config      jsonb,
    limits      jsonb,
    -- Its orders are real.
    live        boolean not null default false,
    -- The last fill that is in the holdings.
    fill_seq    bigint not null default 0,
    written_at  timestamptz not null default clock_timestamp()
);

-- What a running bot had made since it was created, a row a minute and currency; pruned by age.
create table bot_pnl (
    bot_id      text not null references bot,
    at          timestamptz not null,
    currency    text not null,
    realised    numeric not null,
    -- Null: something was held that had no mark.
    unrealised  numeric,
    fees        numeric not null,
    funding     numeric not null,
    volume      numeric not null,
    -- Of the oldest mark of what was held; null: nothing was, or had one.
    mark_age_ms bigint,
    -- Decimal texts by source; empty: the strategy does not say.
    sources     jsonb not null default '{}',
    primary key (bot_id, at, currency)
);
create index bot_pnl_at on bot_pnl (at);

-- Engines that run bots: who has a name, and what it can.
create table bot_engine (
    name        text primary key check (name ~ '^[a-z]+(-[0-9]{1,4})?$'),
    -- Of the process that has the name until then; it keeps it by renewals.
    incarnation text not null,
    until       timestamptz not null,
    -- Rises with each process that takes the name.
    epoch       bigint not null check (epoch > 0),
    -- Exchanges; an empty list means none.
    venues      text[] not null,
    -- The most bots.
    capacity    integer not null check (capacity >= 0),
    version     text not null,
    -- A person wants it to give its wallets away, and who.
    draining    boolean not null default false,
    drain_actor text not null default '',
    drain_at    timestamptz,
    -- Its process is about to end.
    leaving     boolean not null default false,
    -- Bots that run, and how late its loop was at most since it said so last.
    bots        integer not null default 0,
    lag_ms      integer not null default 0,
    started_at  timestamptz not null default clock_timestamp(),
    seen_at     timestamptz not null default clock_timestamp()
);

-- Outside opinions on a price that bots of a tenant hear, each once.
create table bot_signal (
    tenant        text not null,
    -- Of its sender.
    id            text not null,
    instrument_id text not null,
    -- 1 up, -1 down, 0 neither.
    direction     smallint not null check (direction between -1 and 1),
    -- In parts of a million.
    confidence    integer not null check (confidence between 0 and 1000000),
    made_at       timestamptz not null,
    expires_at    timestamptz not null check (expires_at > made_at),
    actor         text not null,
    received_at   timestamptz not null default clock_timestamp(),
    primary key (tenant, id)
);
create index bot_signal_heard on bot_signal (tenant, instrument_id, made_at);
create index bot_signal_received on bot_signal (received_at, tenant, id);
