-- What insiders-api said last of followers' wallets, moved by what was booked since.
-- depends: 0042_resolution

create table follower_balance (
    follower_proxy text primary key,
    -- USDC 1e-6, negative only when a sale was undone whose proceeds were spent; null: unknown.
    cash_micros    bigint,
    -- Rises with each booking of the wallet: what was asked before one is not an answer after it.
    moves          bigint not null default 0,
    -- The moves that `follower_position` knows of.
    polled_moves   bigint,
    polled_at      timestamptz,
    changed_at     timestamptz not null default clock_timestamp(),
    check (num_nulls(polled_moves, polled_at) in (0, 2))
);
create index follower_balance_changed on follower_balance (changed_at);

-- Shares as insiders-api told at `polled_at`, whoever bought them.
create table follower_position (
    follower_proxy text not null references follower_balance,
    asset_id       text not null,
    condition_id   text not null,
    shares_micros  bigint not null check (shares_micros <> 0),
    primary key (follower_proxy, asset_id)
);
