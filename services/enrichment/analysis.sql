-- What is asked of the analytical store. `trades`, `markets` and `wallets` are the selects of
-- source.sql; {name:Type} is a parameter.

-- name: activity
-- What a wallet did, in time; of one instant buys first.
select tx, condition_id, asset_id, side, size, price, traded_ms, action, role
from trades
where wallet = {wallet:String} and traded_ms <= {until:Int64}
order by traded_ms, side, tx, asset_id, ordinal

-- name: markets_of
select condition_id, asset_ids, question, category, tags, event, end_ms, volume, volume_day, prices,
       payouts, resolved_ms, read_ms
from markets
where condition_id in {ids:Array(String)}

-- name: candidates
select wallet, last_ms from wallets
where last_ms >= {since:Int64} order by volume desc, wallet limit {most:Int64}

-- name: marks_of
-- The last mark of each hour.
select asset_id, at_ms - at_ms % 3600000 as hour, max(at_ms) as last_ms,
       argMax(mark_micros, at_ms) as micros
from tradingtools.marks final
where asset_id in {ids:Array(String)} and mark_micros >= 0
group by asset_id, hour order by asset_id, hour

-- name: books_of
select leader_tx, asset_id, delay_seconds, asks from tradingtools.leader_books final
where leader = {wallet:String}

-- name: last_event
select coalesce(max(number), 0) as number from tradingtools.events

-- name: last_decision
select coalesce(max(journal_seq), 0) as number from tradingtools.decisions

-- name: leader_price
select size_micros, price_micros, count from tradingtools.leader_trades final
where leader = {leader:String} and leader_tx = {tx:String} and asset_id = {asset:String}
  and side = {side:String}

-- name: may
-- What the role may do: 1 reads alone.
select toInt64(getSetting('readonly')) as readonly
