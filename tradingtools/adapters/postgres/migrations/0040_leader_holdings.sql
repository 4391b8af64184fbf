-- What leaders hold and are worth, as the Data API said last: for whoever mirrors or explains.
-- Sizing does not read it: each fact of a leader trade carries what it needs.
-- depends: 0010_control

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
