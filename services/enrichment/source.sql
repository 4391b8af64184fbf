-- The product's tables as statistics read them. Another schema is mapped by a file of the same three
-- selects (TT_ENRICHMENT_SOURCE_FILE): names and order of the columns count, not where they come from.
-- Amounts are decimal text or decimals with at most six digits, instants milliseconds since 1970.

-- name: trades
-- Each row of a transaction, and what moved shares without a trade (SPLIT, MERGE, REDEEM,
-- CONVERSION; an empty asset means every outcome). Wallets, transactions and conditions are lower
-- case. role: MAKER, TAKER, or empty where nobody knows.
select wallet, tx, ordinal, asset_id, condition_id, action, side, price, size, traded_ms, role
from polymarket.trades final

-- name: markets
-- asset_ids, tags, prices and payouts are parted by commas; prices and payouts in the order of
-- asset_ids, empty where not known or not resolved. event names the group of markets that convert
-- into each other. Instants that nobody knows are 0.
select condition_id, asset_ids, question, category, tags, event, end_ms, volume, volume_day, prices,
       payouts, resolved_ms, read_ms
from polymarket.markets final

-- name: wallets
select wallet, trades, volume, last_ms
from polymarket.wallets final
