-- name: holds
-- Whether a wallet is still this engine's, the row stays locked until the transaction ends; and
-- whether a kill switch is set for it.
select exists (select from trading_wallet w
               join kill_switch k on k.tenant = w.tenant and k.exchange in ('', w.exchange)
               where w.id = %(wallet)s and k.cleared_at is null) as killed
from trading_wallet_lease
where wallet_id = %(wallet)s and engine = %(engine)s and epoch = %(epoch)s for share

-- name: bots
-- The bots of a wallet, as people want them and as they stand.
select b.id, b.strategy, b.config, b.instruments, b.limits, b.desired, b.version, b.state,
       b.flattening,
       exists (select from bot_order_settlement o where o.bot_id = b.id and o.done_at is null)
           as to_settle,
       s.strategy as strategy_state, s.version as applied_version, s.config as applied_config,
       s.limits as applied_limits,
       -- Who resumes a risk stop counts losses anew.
       case when b.from_state <> 'RISK_STOPPED' then s.equity end as equity
from bot b left join bot_standing s on s.bot_id = b.id
where b.wallet_id = %(wallet)s or b.id = %(bot)s
order by b.id

-- name: unsettled
select order_id, bot_id, slot, detail from bot_order
where bot_id = any(%(bots)s) and not settled
order by order_id

-- name: lately
-- Orders that are not settled, or were a while ago: their trades may still fail.
select detail from bot_order
where bot_id = %(bot)s and (not settled or created_at > clock_timestamp() - interval '1 hour')
order by order_id

-- name: instruments
-- The instruments in which bots of a wallet have traded or have orders, as the last order knew each.
select distinct on (found.instrument_id) found.instrument
from bot b cross join lateral (
    select last.instrument_id, last.instrument
    from bot_standing s
    cross join lateral jsonb_object_keys(s.holdings) held(instrument_id)
    cross join lateral (
        select o.instrument_id, o.detail -> 'order' -> 'instrument' as instrument from bot_order o
        where o.bot_id = b.id and o.instrument_id = held.instrument_id
        order by o.created_at desc, o.order_id desc limit 1
    ) last
    where s.bot_id = b.id
    union all
    select o.instrument_id, o.detail -> 'order' -> 'instrument' from bot_order o
    where o.bot_id = b.id and not o.settled
) found
where b.wallet_id = %(wallet)s
order by found.instrument_id

-- name: orders
select order_id, slot, detail from bot_order where order_id = any(%(orders)s)

-- name: traded
-- The instruments of all orders of a bot, as they were written last.
select distinct on (instrument_id) detail -> 'order' -> 'instrument' as instrument
from bot_order where bot_id = %(bot)s order by instrument_id, created_at desc

-- name: unread_since
-- When the first permit was given whose orders nobody has read since; null: there is none.
select (extract(epoch from min(given_at)) * 1000)::bigint as since_ms from bot_permit
where bot_id = %(bot)s and epoch < %(epoch)s and read_at is null

-- name: permits_read
update bot_permit set read_at = clock_timestamp()
where bot_id = any(%(bots)s) and epoch < %(epoch)s and read_at is null

-- name: concerned
-- Whether anything may still happen to a bot that does not run: it holds something, an order of it may
-- fill, or was sent a while ago.
select exists (select from bot_order where bot_id = %(bot)s
               and (not settled or created_at > clock_timestamp() - interval '1 day'))
    or exists (select from bot_permit where bot_id = %(bot)s and read_at is null)
    or exists (select from bot_standing s, jsonb_each(s.holdings) held
               where s.bot_id = %(bot)s and held.value ->> 'size' <> '0') as concerned

-- name: fills
-- Everything that was booked for a bot, oldest first.
select venue, trade_id, order_id, undone, instrument_id, side, price, size, fee, fee_currency, maker,
       (extract(epoch from traded_at) * 1000)::bigint as venue_ms
from bot_fill where bot_id = %(bot)s order by event_seq

-- name: move
-- Moves a bot to a state; nothing is returned when it is elsewhere by now.
update bot set from_state = state, state = %(state)s, reason = %(reason)s, engine = %(engine)s,
               epoch = %(epoch)s, flattening = %(flattening)s, desired = case when %(finished)s then 'STOPPED' else desired end
where id = %(bot)s and state = %(source)s
returning id

-- name: flattening
update bot set flattening = %(flattening)s where id = %(bot)s

-- name: held_before_forced
-- What each bot of a wallet held when the exchange closed a position; nothing if that is booked.
select f.bot_id, sum(case when (f.side = 'BUY') <> f.undone then f.size else -f.size end)::bigint as size
from bot_fill f join bot b on b.id = f.bot_id
where b.wallet_id = %(wallet)s and f.instrument_id = %(instrument)s
  and f.traded_at <= to_timestamp(%(venue_ms)s / 1000.0)
  and not exists (select from bot_fill k join bot o on o.id = k.bot_id
                  where o.wallet_id = %(wallet)s and k.venue = f.venue and k.trade_id = %(trade)s
                    and k.order_id = %(cause)s || ':' || k.bot_id)
group by f.bot_id

-- name: held_before_funding
select f.bot_id, sum(case when (f.side = 'BUY') <> f.undone then f.size else -f.size end)::bigint as size
from bot_fill f join bot b on b.id = f.bot_id
where b.wallet_id = %(wallet)s and f.instrument_id = %(instrument)s
  and f.traded_at <= to_timestamp(%(venue_ms)s / 1000.0)
group by f.bot_id

-- name: funding_since
-- An hour before the last payment that is booked, or when something was traded first.
select (extract(epoch from coalesce(
    (select max(p.paid_at) - interval '1 hour' from bot_funding p join bot b on b.id = p.bot_id
     where b.wallet_id = %(wallet)s),
    (select min(f.traded_at) from bot_fill f join bot b on b.id = f.bot_id
     where b.wallet_id = %(wallet)s))) * 1000)::bigint as since_ms

-- name: funded
insert into bot_funding (bot_id, venue, payment_id, instrument_id, amount, paid_at)
values (%(bot)s, %(venue)s, %(payment)s, %(instrument)s, %(amount)s,
        to_timestamp(%(venue_ms)s / 1000.0))
on conflict do nothing returning bot_id

-- name: funding
select instrument_id, sum(amount)::bigint as amount from bot_funding where bot_id = %(bot)s
group by instrument_id

-- name: settlements
select order_id, filled from bot_order_settlement where bot_id = %(bot)s and done_at is null
order by order_id

-- name: settled
update bot_order_settlement set done_at = clock_timestamp() where order_id = %(order_id)s

-- name: gaps
select instrument_id, believed, held, missing, explained, corrected from position_gap
where wallet_id = %(wallet)s

-- name: gap
-- What a person has explained stays so as long as the difference does; what was corrected before stays
-- unexplained, since when it was.
insert into position_gap as g (wallet_id, instrument_id, believed, held, missing, explained)
values (%(wallet)s, %(instrument_id)s, %(believed)s, %(held)s, %(missing)s, false)
on conflict (wallet_id, instrument_id) do update set believed = excluded.believed,
    held = excluded.held, missing = excluded.missing,
    seen_at = case when g.corrected and not g.explained then g.seen_at else clock_timestamp() end,
    corrected = g.corrected and not g.explained,
    explained = g.explained and g.held - g.believed = excluded.held - excluded.believed

-- name: gap_corrected
update position_gap set corrected = true
where wallet_id = %(wallet)s and instrument_id = %(instrument_id)s

-- name: corrections
-- The trades with which holdings have followed the account, that no person has explained.
select f.bot_id, f.trade_id, f.order_id, f.side, f.price, f.size, f.fee_currency,
       (extract(epoch from f.traded_at) * 1000)::bigint as venue_ms
from bot_fill f join bot b on b.id = f.bot_id
join position_gap g on g.wallet_id = b.wallet_id and g.instrument_id = f.instrument_id
where b.wallet_id = %(wallet)s and f.instrument_id = %(instrument_id)s and g.corrected
  and f.order_id = 'elsewhere:' || f.bot_id and f.booked_at >= g.seen_at and not f.undone
  and not exists (select from bot_fill u where u.venue = f.venue and u.order_id = f.order_id
                  and u.trade_id = f.trade_id and u.undone)
order by f.event_seq

-- name: corrected
-- Tells that a bot's holding was made smaller, unless the fill that does it is written already.
insert into bot_event (bot_id, what, actor, reason)
select %(bot)s, 'position_corrected', %(actor)s,
       %(instrument)s::text || ': ' || %(size)s::bigint
       || case when %(undone)s then ' units are back, which were booked as '
               else ' units traded elsewhere, booked as ' end || %(side)s::text
       || ' at ' || %(price)s::bigint
where not exists (select from bot_fill where venue = %(venue)s and order_id = %(order_id)s
                  and trade_id = %(trade)s and undone = %(undone)s)

-- name: gap_closed
delete from position_gap where wallet_id = %(wallet)s and instrument_id = %(instrument_id)s

-- name: tell
insert into bot_event (bot_id, what, actor, reason)
values (%(bot)s, %(what)s, %(actor)s, %(reason)s)

-- name: permit
insert into bot_permit (bot_id, epoch, instrument_id, side, first_number, last_number, worst_price,
                        size, expires_at)
values (%(bot)s, %(epoch)s, %(instrument)s, %(side)s, %(first)s, %(last)s, %(worst)s, %(size)s,
        to_timestamp(%(expires_ms)s / 1000.0))
-- Both are asked for under the same number: what was given once stays given.
on conflict (bot_id, epoch, instrument_id, side, first_number) do update set
    last_number = greatest(bot_permit.last_number, excluded.last_number),
    worst_price = case when bot_permit.side = 'BUY'
                       then greatest(bot_permit.worst_price, excluded.worst_price)
                       else least(bot_permit.worst_price, excluded.worst_price) end,
    size = greatest(bot_permit.size, excluded.size),
    expires_at = greatest(bot_permit.expires_at, excluded.expires_at)

-- name: order
insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price, size, filled, state,
                       pending, venue_order_id, settled, detail)
values (%(order_id)s, %(bot)s, %(epoch)s, %(slot)s, %(instrument)s, %(side)s, %(price)s, %(size)s,
        %(filled)s, %(state)s, %(pending)s, %(venue_order_id)s, %(settled)s, %(detail)s)
on conflict (order_id) do update set price = excluded.price, size = excluded.size,
    filled = excluded.filled, state = excluded.state, pending = excluded.pending,
    venue_order_id = excluded.venue_order_id, settled = excluded.settled, detail = excluded.detail,
    changed_at = clock_timestamp()

-- name: fill
insert into bot_fill (venue, trade_id, order_id, undone, bot_id, instrument_id, side, price, size, fee,
                      fee_currency, maker, mid_price, traded_at)
values (%(venue)s, %(trade)s, %(order_id)s, %(undone)s, %(bot)s, %(instrument)s, %(side)s, %(price)s,
        %(size)s, %(fee)s, %(fee_currency)s, %(maker)s, %(mid)s,
        to_timestamp(%(venue_ms)s / 1000.0))
on conflict do nothing

-- name: order_moved
insert into bot_order_event (order_id, bot_id, slot, instrument_id, side, from_state, to_state, code,
                             price, size, filled)
values (%(order_id)s, %(bot)s, %(slot)s, %(instrument)s, %(side)s, %(source)s, %(target)s, %(code)s,
        %(price)s, %(size)s, %(filled)s)

-- name: order_moved_once
-- The same, unless it is written already.
insert into bot_order_event (order_id, bot_id, slot, instrument_id, side, from_state, to_state, code,
                             price, size, filled)
select %(order_id)s, %(bot)s, %(slot)s, %(instrument)s, %(side)s, %(source)s, %(target)s, %(code)s,
       %(price)s, %(size)s, %(filled)s
where not exists (
    select from bot_order_event e
    where e.order_id = %(order_id)s and e.from_state is not distinct from %(source)s and e.to_state = %(target)s
      and e.filled = %(filled)s and e.code = %(code)s)

-- name: standing
insert into bot_standing (bot_id, epoch, number, strategy, explanation, holdings, equity,
                          positions, version, config, limits, live, written_at)
values (%(bot)s, %(epoch)s, %(number)s, %(strategy)s, %(explanation)s, %(holdings)s, %(equity)s,
        %(positions)s, %(version)s, %(config)s, %(limits)s, %(live)s, clock_timestamp())
on conflict (bot_id) do update set epoch = excluded.epoch, number = excluded.number,
    strategy = excluded.strategy, explanation = excluded.explanation, holdings = excluded.holdings,
    equity = excluded.equity, positions = excluded.positions, version = excluded.version,
    config = coalesce(excluded.config, bot_standing.config),
    limits = coalesce(excluded.limits, bot_standing.limits), live = excluded.live,
    written_at = excluded.written_at

-- name: pnl
-- What a bot had made as of this minute.
insert into bot_pnl (bot_id, at, currency, realised, unrealised, fees, funding, volume, mark_age_ms,
                     sources)
values (%(bot)s, date_trunc('minute', clock_timestamp()), %(currency)s, %(realised)s, %(unrealised)s,
        %(fees)s, %(funding)s, %(volume)s, %(mark_age_ms)s, %(sources)s)
on conflict do nothing

-- name: forget_pnl
delete from bot_pnl where at < clock_timestamp() - %(days)s * interval '1 day'

-- name: signals
-- Signals for the bots of a wallet that are young enough, the youngest first.
select id, instrument_id, direction, confidence,
       (extract(epoch from made_at) * 1000)::bigint as made_ms,
       (extract(epoch from expires_at) * 1000)::bigint as expires_ms
from bot_signal
where tenant = (select tenant from trading_wallet where id = %(wallet)s)
  and instrument_id = any(%(instruments)s)
  and made_at >= clock_timestamp() - %(age)s * interval '1 millisecond'
order by made_at desc, id
limit 1000
