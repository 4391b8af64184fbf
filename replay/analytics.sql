-- name: document
select document from tradingtools.leader_documents final
where wallet = {wallet:String} and version = {version:String}

-- name: activity
-- The newest rows of a wallet, the last first.
select tx, condition_id, asset_id, side, size, price, traded_ms, action from polymarket.trades final
where wallet = {wallet:String} and traded_ms <= {until:Int64}
order by traded_ms desc, tx desc, asset_id desc, ordinal desc limit {most:Int64}

-- name: markets
select condition_id, asset_ids, category, end_ms, prices, payouts, resolved_ms
from polymarket.markets final where condition_id in {ids:Array(String)}

-- name: books
select leader_tx, asset_id, asks from tradingtools.leader_books final
where leader = {wallet:String} and delay_seconds = {delay:Int64}

-- name: marks
-- The last mark of each outcome.
select asset_id, argMax(mark_micros, at_ms) as micros from tradingtools.marks final
where asset_id in {ids:Array(String)} and at_ms <= {until:Int64} and mark_micros >= 0
group by asset_id
