-- The durable side. Amounts are bigint micros (1e-6) of USDC, shares or price per share.
-- depends:

-- One row per legal transition, filled from the table in tradingtools/domain/order_states.py by
-- `migrate`; the foreign key of order_event makes an illegal one impossible.
create table order_transition (
    from_state text not null,
    to_state   text not null,
    primary key (from_state, to_state)
);

-- Who may write for a partition of follower wallets. The epoch rises with each owner.
create table partition_lease (
    role       text not null check (role in ('router', 'executor', 'confirm', 'guard')),
    partition  integer not null check (partition >= 0),
    owner      text not null,
    epoch      bigint not null check (epoch > 0),
    expires_at timestamptz not null,
    primary key (role, partition)
);

-- Every change of the control surface: feed for the index, and audit (append-only, hash chained).
-- Written only under the exclusive control lock, so commits come in the order of seq.
create table control_change (
    seq           bigint generated always as identity primary key,
    changed_at    timestamptz not null default clock_timestamp(),
    actor         text not null,
    source        text not null,
    action        text not null,
    subject_kind  text not null check (subject_kind in ('subscription', 'trigger', 'halt')),
    subject_id    text not null,
    before        jsonb,
    after         jsonb,
    previous_hash bytea not null,
    hash          bytea not null
);
create index control_change_subject on control_change (subject_id, seq);

create table subscription (
    id                 text primary key check (id ~ '^sub_[0-9a-f]{32}$'),
    follower_user_id   text not null,
    follower_wallet_id text not null,
    follower_proxy     text not null check (follower_proxy ~ '^0x[0-9a-f]{40}$'),
    leader             text not null check (leader ~ '^0x[0-9a-f]{40}$'),
    state              text not null check (state in ('ACTIVE', 'PAUSED', 'DELETED')),
    version            bigint not null check (version > 0),
    sizing_mode        text not null check (sizing_mode in ('FIXED', 'RATIO')),
    sizing_micros      bigint not null check (sizing_micros >= 0),
    max_per_trade_micros  bigint check (max_per_trade_micros >= 0),
    max_per_market_micros bigint check (max_per_market_micros >= 0),
    max_slippage_micros   bigint check (max_slippage_micros between 0 and 999999),
    max_age_ms            integer check (max_age_ms > 0),
    changed_seq        bigint not null,
    created_at         timestamptz not null default clock_timestamp(),
    updated_at         timestamptz not null default clock_timestamp()
);
create index subscription_follower on subscription (follower_proxy, created_at, id);
create index subscription_leader on subscription (leader);
create index subscription_changed on subscription (changed_seq);

-- The same request under the same key answers the same, for each caller and method.
create table idempotency (
    caller       text not null,
    method       text not null,
    key          text not null,
    request_hash bytea not null,
    resource_id  text not null,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (caller, method, key)
);

create table halt (
    scope   text not null check (scope in ('GLOBAL', 'WALLET', 'LEADER', 'MARKET')),
    subject text not null,
    mode    text not null check (mode in ('HALTED', 'REDUCING')),
    reason  text not null,
    set_at  timestamptz not null default clock_timestamp(),
    primary key (scope, subject)
);

-- The write-ahead journal of the hot window. CLAIMED: one record per leader trade, partition and
-- part, with all orders and decisions. SUBMITTING: one record per batch and attempt. Rows are
-- built from it behind the POSTs.
create table journal (
    seq           bigint generated always as identity primary key,
    kind          text not null check (kind in ('CLAIMED', 'SUBMITTING')),
    role          text not null check (role in ('router', 'guard', 'executor')),
    record_key    text not null unique,
    partition     integer not null,
    epoch         bigint not null,
    payload       bytea not null,
    order_count   integer not null,
    committed_at  timestamptz not null default clock_timestamp(),
    rows_built_at timestamptz,
    -- Why its rows cannot be built; a person has to look.
    set_aside     text
);
alter table journal alter column payload set storage external;
create index journal_open on journal (partition, seq)
    where rows_built_at is null and set_aside is null;
create index journal_set_aside on journal (seq) where set_aside is not null;

create table orders (
    order_key            text primary key check (order_key ~ '^[0-9a-f]{64}$'),
    copy_key             text not null,
    ordinal              integer not null check (ordinal >= 0),
    purpose              text not null check (purpose in ('ENTRY', 'COPY_EXIT', 'GUARD_EXIT')),
    subscription_id      text,
    subscription_version bigint not null,
    trigger_id           text,
    follower_user_id     text not null,
    follower_wallet_id   text not null,
    follower_proxy       text not null,
    partition            integer not null,
    leader               text not null default '',
    leader_tx            text not null default '',
    condition_id         text not null,
    asset_id             text not null,
    side                 text not null check (side in ('BUY', 'SELL')),
    size_micros          bigint not null check (size_micros > 0),
    limit_micros         bigint not null check (limit_micros between 1 and 999999),
    time_in_force        text not null check (time_in_force in ('FAK', 'FOK')),
    not_after_ms         bigint not null,
    body                 bytea not null,
    body_hash            text not null,
    journal_seq          bigint not null,
    control_seq          bigint not null,
    state                text not null,
    failed_kind          text check (failed_kind in ('UNSENT', 'REJECTED', 'KILLED', 'UNDONE')),
    reason               text not null default '',
    epoch                bigint not null default 0,
    attempt              integer not null default 0,
    lease_until          timestamptz,
    not_found_count      integer not null default 0,
    next_check_at        timestamptz,
    venue_order_id       text not null default '',
    filled_size_micros     bigint not null default 0 check (filled_size_micros >= 0),
    filled_notional_micros bigint not null default 0 check (filled_notional_micros >= 0),
    fee_micros             bigint not null default 0 check (fee_micros >= 0),
    traceparent          text not null default '',
    received_ns          bigint not null default 0,
    routed_ns            bigint not null default 0,
    claimed_ns           bigint not null default 0,
    submitting_ns        bigint not null default 0,
    first_byte_ns        bigint not null default 0,
    answered_ns          bigint not null default 0,
    confirmed_ns         bigint not null default 0,
    chain_head           bytea not null,
    created_at           timestamptz not null default clock_timestamp(),
    check (filled_size_micros <= size_micros),
    check ((state = 'FAILED') = (failed_kind is not null)),
    unique (copy_key, ordinal)
);
create index orders_open on orders (partition, state, next_check_at)
    where state in ('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN');
create index orders_subscription on orders (subscription_id, created_at);
create index orders_lot on orders (follower_proxy, asset_id);
create index orders_trigger on orders (trigger_id) where trigger_id is not null;

-- Audit of every transition: one hash chain per order.
create table order_event (
    event_seq   bigint generated always as identity primary key,
    order_key   text not null references orders,
    from_state  text not null,
    to_state    text not null,
    reason      text not null,
    epoch       bigint not null,
    occurred_at timestamptz not null default clock_timestamp(),
    detail      bytea,
    hash        bytea not null,
    foreign key (from_state, to_state) references order_transition
);
create index order_event_order on order_event (order_key, event_seq);

create table reservation (
    order_key       text primary key references orders,
    follower_proxy  text not null,
    subscription_id text,
    condition_id    text not null,
    asset_id        text not null,
    money_micros    bigint not null check (money_micros >= 0),
    shares_micros   bigint not null check (shares_micros >= 0),
    released_at     timestamptz
);
create index reservation_open on reservation (follower_proxy, asset_id) where released_at is null;

-- Facts about leaders' transactions: at least `count` equal rows, by kind of source.
create table leader_row (
    leader_tx    text not null,
    leader       text not null,
    asset_id     text not null,
    side         text not null check (side in ('BUY', 'SELL')),
    price_text   text not null,
    size_micros  bigint not null check (size_micros > 0),
    source       text not null check (source in ('FEED', 'CATCH_UP')),
    count        integer not null check (count > 0),
    price_micros bigint not null check (price_micros >= 0),
    condition_id text not null,
    traded_ms    bigint not null,
    -- What the leader held before the transaction, shares; null: unknown.
    held_before_micros bigint check (held_before_micros >= 0),
    seen_at      timestamptz not null default clock_timestamp(),
    primary key (leader_tx, leader, asset_id, side, price_text, size_micros, source)
);
create index leader_row_recent on leader_row (leader, traded_ms);

-- One per leader trade and subscription.
create table decision (
    leader_tx              text not null,
    leader                 text not null,
    asset_id               text not null,
    side                   text not null check (side in ('BUY', 'SELL')),
    subscription_id        text not null,
    condition_id           text not null,
    follower_proxy         text not null,
    copied                 boolean not null,
    reason                 text not null,
    detail                 text not null,
    leader_size_micros     bigint not null,
    leader_notional_micros numeric(38, 0) not null,
    -- What part 0 froze, and what was ordered so far; null while nothing was ordered.
    frozen                 jsonb,
    ordered_size_micros    bigint not null default 0,
    order_keys             text[] not null default '{}',
    journal_seq            bigint not null default 0,
    title                  text not null default '',
    decided_at             timestamptz not null default clock_timestamp(),
    updated_at             timestamptz not null default clock_timestamp(),
    primary key (leader_tx, leader, asset_id, side, subscription_id)
);
create index decision_subscription on decision (subscription_id, decided_at desc);

-- Shares of one wallet, asset and origin. Kept by (notional, size), never by an average price.
create table lot (
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    condition_id   text not null,
    shares_micros  bigint not null default 0 check (shares_micros >= 0),
    cost_micros    bigint not null default 0 check (cost_micros >= 0),
    bought_size_micros     bigint not null default 0,
    bought_notional_micros bigint not null default 0,
    sold_size_micros       bigint not null default 0,
    sold_notional_micros   bigint not null default 0,
    fee_micros             bigint not null default 0,
    realised_micros        bigint not null default 0,
    updated_at     timestamptz not null default clock_timestamp(),
    primary key (follower_proxy, asset_id, origin)
);
create index lot_held on lot (asset_id) where shares_micros > 0;

-- What a lot was bought for, oldest first: sells consume it first in, first out.
create table lot_entry (
    entry_seq      bigint generated always as identity primary key,
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    order_key      text not null references orders,
    trade_id       text not null,
    size_micros    bigint not null check (size_micros >= 0),
    cost_micros    bigint not null check (cost_micros >= 0),
    foreign key (follower_proxy, asset_id, origin) references lot
);
create index lot_entry_lot on lot_entry (follower_proxy, asset_id, origin, entry_seq)
    where size_micros > 0;

-- The venue's trades of our orders.
create table fill (
    order_key       text not null references orders,
    trade_id        text not null,
    status          text not null check (status in ('MATCHED', 'CONFIRMED', 'FAILED')),
    size_micros     bigint not null check (size_micros > 0),
    notional_micros bigint not null check (notional_micros >= 0),
    fee_micros      bigint not null check (fee_micros >= 0),
    -- Sells: what the shares had cost, first in, first out.
    cost_micros     bigint not null default 0 check (cost_micros >= 0),
    matched_at      timestamptz not null default clock_timestamp(),
    final_at        timestamptz,
    primary key (order_key, trade_id)
);

-- Bookings in the order in which they happened: what StreamFills carries.
create table booking (
    fill_seq        bigint generated always as identity primary key,
    kind            text not null check (kind in ('MATCHED', 'CONFIRMED', 'UNDONE', 'CLOSED')),
    order_key       text not null references orders,
    trade_id        text not null,
    size_micros     bigint not null,
    notional_micros bigint not null,
    fee_micros      bigint not null,
    realised_micros bigint not null,
    order_state     text not null,
    reason          text not null default '',
    order_filled_micros bigint not null,
    lot_shares_micros bigint not null,
    lot_cost_micros bigint not null,
    booked_at       timestamptz not null default clock_timestamp()
);
create unique index booking_once on booking (order_key, kind, trade_id);

create table trigger (
    id              text primary key check (id ~ '^trg_[0-9a-f]{32}$'),
    follower_proxy  text not null,
    condition_id    text not null,
    asset_id        text not null,
    origin          text not null,
    trigger_type    text not null check (trigger_type in ('TAKE_PROFIT', 'STOP_LOSS')),
    price_micros    bigint not null check (price_micros between 1 and 999999),
    size_micros     bigint check (size_micros > 0),
    status          text not null check (status in ('WAITING', 'ARMED', 'SUSPENDED', 'TRIGGERED',
                        'CLOSING', 'NEEDS_CONFIRM', 'DONE', 'CANCELLED', 'RESOLVED')),
    generation      integer not null default 0,
    slice           integer not null default 0,
    sold_micros     bigint not null default 0,
    order_key       text not null default '',
    fired           jsonb,
    version         bigint not null default 1,
    next_slice_at   timestamptz,
    created_at      timestamptz not null default clock_timestamp(),
    updated_at      timestamptz not null default clock_timestamp()
);
create index trigger_wallet on trigger (follower_proxy, created_at, id);
create index trigger_lot on trigger (asset_id, follower_proxy, origin)
    where status not in ('DONE', 'CANCELLED', 'RESOLVED');

create table trigger_event (
    event_seq   bigint generated always as identity primary key,
    trigger_id  text not null references trigger,
    from_status text not null,
    to_status   text not null,
    detail      text not null,
    order_key   text not null default '',
    occurred_at timestamptz not null default clock_timestamp()
);
create index trigger_event_trigger on trigger_event (trigger_id, event_seq);

-- What a named reader of a stream has committed.
create table consumer_cursor (
    stream     text not null,
    consumer   text not null,
    cursor     text not null,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (stream, consumer)
);

-- Samples of what was refused at the door, so that a person can look at it.
create table rejected_frame (
    id          bigint generated always as identity primary key,
    source      text not null,
    reason      text not null,
    sample      bytea not null check (octet_length(sample) <= 4096),
    bytes_total bigint not null,
    rejected_at timestamptz not null default clock_timestamp()
);

-- Ids that tie the stores together.
create table store_identity (
    name  text primary key,
    value text not null
);
