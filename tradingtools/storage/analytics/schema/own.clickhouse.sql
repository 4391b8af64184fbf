-- Tables of our own in ClickHouse. Rows come at least once: the key of a table makes them once, and
-- readers say FINAL. Amounts are decimal text's micros (1e-6) as Int64, instants milliseconds.

create database if not exists tradingtools;

-- The log of events as it is published (docs/events.md).
create table if not exists tradingtools.events (
    number Int64, id String, type LowCardinality(String), subject String, at_ms Int64,
    traceparent String, data String
) engine = ReplacingMergeTree order by number;

-- Every decision of the router, skips included, as its journal has it.
create table if not exists tradingtools.decisions (
    journal_seq Int64, leader_tx String, leader String, asset_id String, side LowCardinality(String),
    subscription_id String, condition_id String, follower_proxy String, copied UInt8,
    reason LowCardinality(String), detail String, leader_size_micros Int64,
    leader_notional_micros Int64, ordered_size_micros Int64, frozen String, decided_ms Int64
) engine = ReplacingMergeTree order by (subscription_id, journal_seq, leader_tx, leader, asset_id, side);

-- Every trade of an order, beside the leader's price. Slippage: USDC worse than it, below zero better.
create table if not exists tradingtools.fills (
    event_number Int64, at_ms Int64, order_id String, trade_id String, purpose LowCardinality(String),
    subscription_id String, follower_proxy String, leader String, leader_tx String,
    condition_id String, asset_id String, side LowCardinality(String), size_micros Int64,
    notional_micros Int64, fee_micros Int64, leader_price_micros Nullable(Int64),
    slippage_micros Nullable(Int64), reversed UInt8
) engine = ReplacingMergeTree order by (follower_proxy, event_number);

-- Rows of followed leaders' transactions; `count` of equal ones are known.
create table if not exists tradingtools.leader_trades (
    leader String, leader_tx String, asset_id String, side LowCardinality(String), size_micros Int64,
    price_micros Int64, count Int64, condition_id String, traded_ms Int64, event_number Int64
) engine = ReplacingMergeTree(event_number)
order by (leader, leader_tx, asset_id, side, size_micros, price_micros);

-- The marks of what followers hold: at most one a second of an outcome, when it has changed or a
-- minute has passed. Absent prices: -1.
create table if not exists tradingtools.marks (
    asset_id String, at_ms Int64, bid_micros Int64, ask_micros Int64, mark_micros Int64, fresh UInt8
) engine = ReplacingMergeTree order by (asset_id, at_ms) ttl toDateTime(intDiv(at_ms, 1000)) + interval 400 day;

-- The asks 1, 3 and 10 s after a leader's buy: price and size by line, best first.
create table if not exists tradingtools.leader_books (
    leader String, leader_tx String, asset_id String, delay_seconds Int64, at_ms Int64, asks String
) engine = ReplacingMergeTree order by (leader, leader_tx, asset_id, delay_seconds);

-- What was published of a leader, base64 of its protobuf: decisions name the version.
create table if not exists tradingtools.leader_documents (
    wallet String, version String, as_of_ms Int64, document String
) engine = ReplacingMergeTree order by (wallet, version);
