-- What leaders did and hold.

-- Facts about leaders' transactions: at least `count` equal rows, by kind of source, durable for the
-- partition that has judged them.
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
    partition    integer not null default 0 check (partition >= 0),
    primary key (leader_tx, leader, asset_id, side, partition, price_text, size_micros, source)
);
create index leader_row_recent on leader_row (leader, traded_ms);

-- What leaders hold and are worth, as the Data API said last: for whoever mirrors or explains.
-- Sizing does not read it: each fact of a leader trade carries what it needs.
create table leader_account (
    leader        text primary key,
    -- USDC 1e-6, positions and cash; null: the API did not say.
    equity_micros bigint check (equity_micros >= 0),
    asked_at      timestamptz not null
);
create table leader_holding (
    leader        text not null references leader_account,
    asset_id      text not null,
    -- Empty: the API did not say.
    condition_id  text not null,
    shares_micros bigint not null check (shares_micros > 0),
    primary key (leader, asset_id)
);
-- What followed leaders hold is watched, the largest first.
create index leader_holding_shares on leader_holding (shares_micros desc);
