-- The same tables as own.clickhouse.sql, of the embedded form.

create table if not exists tradingtools.events (
    number integer primary key, id text, type text, subject text, at_ms integer, traceparent text,
    data text
) strict;

create table if not exists tradingtools.decisions (
    journal_seq integer, leader_tx text, leader text, asset_id text, side text,
    subscription_id text, condition_id text, follower_proxy text, copied integer,
    reason text, detail text, leader_size_micros integer,
    leader_notional_micros integer, ordered_size_micros integer, frozen text, decided_ms integer,
    primary key (subscription_id, journal_seq, leader_tx, leader, asset_id, side)
) strict, without rowid;
create index if not exists tradingtools.decisions_by_seq on decisions (journal_seq);

create table if not exists tradingtools.fills (
    event_number integer, at_ms integer, order_id text, trade_id text, purpose text,
    subscription_id text, follower_proxy text, leader text, leader_tx text,
    condition_id text, asset_id text, side text, size_micros integer,
    notional_micros integer, fee_micros integer, leader_price_micros integer,
    slippage_micros integer, reversed integer,
    primary key (follower_proxy, event_number)
) strict, without rowid;

create table if not exists tradingtools.leader_trades (
    leader text, leader_tx text, asset_id text, side text, size_micros integer,
    price_micros integer, count integer, condition_id text, traded_ms integer, event_number integer,
    primary key (leader, leader_tx, asset_id, side, size_micros, price_micros)
) strict, without rowid;

create table if not exists tradingtools.marks (
    asset_id text, at_ms integer, bid_micros integer, ask_micros integer, mark_micros integer,
    fresh integer, primary key (asset_id, at_ms)
) strict, without rowid;

create table if not exists tradingtools.leader_books (
    leader text, leader_tx text, asset_id text, delay_seconds integer, at_ms integer, asks text,
    primary key (leader, leader_tx, asset_id, delay_seconds)
) strict, without rowid;

create table if not exists tradingtools.leader_documents (
    wallet text, version text, as_of_ms integer, document text, primary key (wallet, version)
) strict, without rowid;
