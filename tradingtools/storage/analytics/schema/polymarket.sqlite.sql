-- The product's tables in the embedded form, filled from the Data API, Gamma and recorded trades.

create table if not exists polymarket.trades (
    wallet text, tx text, ordinal integer, asset_id text, condition_id text,
    action text, side text, price text, size text, traded_ms integer, role text,
    primary key (wallet, traded_ms, tx, asset_id, side, action, price, size, ordinal)
) strict, without rowid;

create table if not exists polymarket.markets (
    condition_id text primary key, asset_ids text, question text, category text,
    tags text, event text, end_ms integer, volume text, volume_day text, prices text,
    payouts text, resolved_ms integer, read_ms integer
) strict, without rowid;

create view if not exists polymarket.wallets as
select wallet, count(*) as trades, sum(cast(price as real) * cast(size as real)) as volume,
       max(traded_ms) as last_ms
from trades where action = 'TRADE' group by wallet;
