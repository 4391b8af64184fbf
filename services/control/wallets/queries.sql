-- name: one
-- A wallet, and who may have requests of it signed.
select w.id, w.tenant, w.name, w.exchange, w.environment, w.account, w.permissions,
       w.signature_type, w.signer_address, w.max_order_micros, w.state, w.edition, w.problem,
       w.checked_at, w.created_at, w.changed_at,
       case when l.until > clock_timestamp() then l.engine else '' end as held_by
from trading_wallet w left join trading_wallet_lease l on l.wallet_id = w.id
where w.id = %(id)s

-- name: page
-- Wallets after a place, the oldest first.
select w.id, w.tenant, w.name, w.exchange, w.environment, w.account, w.permissions,
       w.signature_type, w.signer_address, w.max_order_micros, w.state, w.edition, w.problem,
       w.checked_at, w.created_at, w.changed_at,
       case when l.until > clock_timestamp() then l.engine else '' end as held_by
from trading_wallet w left join trading_wallet_lease l on l.wallet_id = w.id
where (%(exchange)s::text = '' or w.exchange = %(exchange)s)
  and (%(exchanges)s::text[] is null or w.exchange = any(%(exchanges)s::text[]))
  and (%(state)s::text = '' or w.state = %(state)s)
  and (%(at)s::timestamptz is null or (w.created_at, w.id) > (%(at)s, %(after)s::text))
order by w.created_at, w.id limit %(limit)s
