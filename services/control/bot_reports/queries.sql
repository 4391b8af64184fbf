-- name: bot
-- A bot with what its engine wrote of it last.
select b.id, b.strategy, b.state, b.reason, s.positions, s.explanation, s.written_at
from bot b left join bot_standing s on s.bot_id = b.id
where b.id = %(id)s;

-- name: pnl
-- The last point of each step and currency before a place, the newest first.
select step, at, currency, realised, unrealised, fees, funding, volume, mark_age_ms, sources
from (
    select distinct on (step, currency) *
    from (select date_trunc(%(step)s, at, 'UTC') as step, p.* from bot_pnl p
          where p.bot_id = %(bot)s
            and (%(since)s::timestamptz is null or p.at >= %(since)s)
            and (%(until)s::timestamptz is null or p.at < %(until)s)
            and (%(before)s::timestamptz is null
                 or date_trunc(%(step)s, p.at, 'UTC') <= %(before)s)) p
    order by step desc, currency, p.at desc
) p
where %(before)s::timestamptz is null or (step, currency) < (%(before)s, %(currency)s::text)
order by step desc, currency desc limit %(limit)s;

-- name: events
-- Events of a bot before a number, the newest first.
select number, type, occurred_at, data from event
where left(subject, 17) = %(subject)s and subject like 'bots/%%'
  and (%(before)s::bigint is null or number < %(before)s)
order by number desc limit %(limit)s;

-- name: unsettled
-- Orders of a bot that may still fill.
select order_id as id, slot, instrument_id, side, price, size, filled, state, pending, venue_order_id,
       settled, created_at, changed_at, detail -> 'order' -> 'instrument' as instrument
from bot_order
where bot_id = %(id)s and not settled
order by created_at, order_id;

-- name: portfolio
-- The positions of all bots, with what each had made when its day began.
select b.id, w.exchange, s.live, s.positions, s.equity,
       (select (o.detail #>> '{order,instrument,money_digits}')::integer from bot_order o
        where o.bot_id = b.id and o.instrument_id = b.instruments[1] limit 1) as money_digits,
       b.instruments[1] as first_instrument
from bot b join bot_standing s on s.bot_id = b.id join trading_wallet w on w.id = b.wallet_id
where (%(tenant)s::text = '' or b.tenant = %(tenant)s) and s.positions <> '{}'
  and (%(exchanges)s::text[] is null or w.exchange = any(%(exchanges)s))
order by b.id;
