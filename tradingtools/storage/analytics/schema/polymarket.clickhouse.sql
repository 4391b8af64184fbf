-- The product's tables as we assume them. They are read only; the operator's own select for each of
-- trades, markets and wallets (TT_ENRICHMENT_SOURCE_FILE) maps other names and types to them.

create database if not exists polymarket;

-- Every row of every transaction, makers' and takers', and what moved shares without a trade.
create table if not exists polymarket.trades (
    wallet String, tx String, ordinal Int64, asset_id String, condition_id String,
    action LowCardinality(String), side LowCardinality(String), price Decimal(18, 6),
    size Decimal(38, 6), traded_ms Int64, role LowCardinality(String)
) engine = ReplacingMergeTree order by (wallet, traded_ms, tx, asset_id, side, action, price, size, ordinal);

-- Arrays are parted by commas; `payouts` and `prices` in the order of `asset_ids`, empty: not known.
create table if not exists polymarket.markets (
    condition_id String, asset_ids String, question String, category LowCardinality(String),
    tags String, event String, end_ms Int64, volume String, volume_day String, prices String,
    payouts String, resolved_ms Int64, read_ms Int64
) engine = ReplacingMergeTree(read_ms) order by condition_id;

create table if not exists polymarket.wallets (
    wallet String, trades Int64, volume Decimal(38, 6), last_ms Int64
) engine = ReplacingMergeTree(last_ms) order by wallet;
