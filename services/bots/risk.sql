-- name: ledger
-- Locks the shares of a tenant until the transaction ends: nobody else takes one meanwhile.
insert into risk_ledger (tenant) values (%(tenant)s)
on conflict (tenant) do update set taken_at = clock_timestamp()

-- name: tenant
select tenant from trading_wallet where id = %(wallet)s

-- name: shares_of
select instrument_id, long_micros, short_micros from risk_share where bot_id = %(bot)s

-- name: take_share
-- The other side stays as it is written.
insert into risk_share (bot_id, instrument_id, market, long_micros, short_micros)
values (%(bot)s, %(instrument)s, %(market)s, %(long)s, %(short)s)
on conflict (bot_id, instrument_id) do update set
    long_micros = case when %(side)s = 'BUY' then excluded.long_micros
                       else risk_share.long_micros end,
    short_micros = case when %(side)s = 'SELL' then excluded.short_micros
                        else risk_share.short_micros end

-- name: keep_share
-- A side that is null stays: a permit may change it at this moment.
insert into risk_share (bot_id, instrument_id, market, long_micros, short_micros, held_micros,
                        marked_at)
values (%(bot)s, %(instrument)s, %(market)s, coalesce(%(long)s::bigint, 0),
        coalesce(%(short)s::bigint, 0), %(held)s, to_timestamp(%(marked_ms)s / 1000.0))
on conflict (bot_id, instrument_id) do update set
    long_micros = coalesce(%(long)s::bigint, risk_share.long_micros),
    short_micros = coalesce(%(short)s::bigint, risk_share.short_micros),
    held_micros = excluded.held_micros, marked_at = excluded.marked_at

-- name: keep_result
insert into risk_result (bot_id, result_micros, marked_at)
values (%(bot)s, %(micros)s, clock_timestamp())
on conflict (bot_id) do update set result_micros = excluded.result_micros,
    marked_at = excluded.marked_at

-- name: count
-- Losses of a scope are counted from the start of its day, and from its highest result.
update risk_limit set day = %(day)s, peak_micros = greatest(peak_micros, %(result)s),
    day_start_micros = case when day = %(day)s then day_start_micros else %(result)s end
where tenant = %(tenant)s and scope = %(scope)s and subject = %(subject)s
  and (day is distinct from %(day)s or peak_micros is null or peak_micros < %(result)s)

-- name: reach
-- Whoever changes it first tells of it.
update risk_limit set reached = %(reached)s
where tenant = %(tenant)s and scope = %(scope)s and subject = %(subject)s and reached = %(before)s
returning tenant

-- name: tell
insert into risk_event (tenant, scope, subject, limit_name, action, detail)
values (%(tenant)s, %(scope)s, %(subject)s, %(limit)s, %(action)s, %(detail)s)

-- name: tell_bot
insert into risk_event (tenant, scope, subject, limit_name, action, detail)
select tenant, 'BOT', id, %(limit)s, %(action)s, %(detail)s from bot where id = %(bot)s

-- name: kill
-- The kill switch that a wallet is under, the oldest first, and how far it is with it.
select k.id as kill_id, k.reason, coalesce(p.phase, 'WAITING') as phase,
       (extract(epoch from p.last_arrival_at) * 1000)::bigint as last_arrival_ms
from trading_wallet w
join kill_switch k on k.tenant = w.tenant and k.exchange in ('', w.exchange)
left join kill_switch_wallet p on p.kill_id = k.id and p.wallet_id = w.id
where w.id = %(wallet)s and k.cleared_at is null
order by coalesce(p.phase, 'WAITING') = 'DONE', k.set_at

-- name: kill_hold
-- One wallet steps at a time, so that the last one sees that all others are done.
select from kill_switch where id = %(kill)s for update

-- name: kill_step
insert into kill_switch_wallet as p (kill_id, wallet_id, phase, engine, bots, orders, holdings, detail,
                                last_arrival_at)
values (%(kill)s, %(wallet)s, %(phase)s, %(engine)s, %(bots)s, %(orders)s, %(holdings)s, %(detail)s,
        to_timestamp(%(last_arrival_ms)s::bigint / 1000.0))
on conflict (kill_id, wallet_id) do update set phase = excluded.phase, engine = excluded.engine,
    bots = excluded.bots, orders = excluded.orders, holdings = excluded.holdings,
    detail = excluded.detail, last_arrival_at = excluded.last_arrival_at,
    changed_at = clock_timestamp()
where (p.phase, p.engine, p.bots, p.orders, p.holdings, p.detail, p.last_arrival_at)
      is distinct from (excluded.phase, excluded.engine, excluded.bots, excluded.orders,
                        excluded.holdings, excluded.detail, excluded.last_arrival_at)

-- name: kill_done
-- Whoever comes last tells it.
with done as (
    update kill_switch k set done_at = clock_timestamp()
    where id = %(kill)s and done_at is null
      and not exists (select from kill_switch_wallet p where p.kill_id = k.id and p.phase <> 'DONE')
    returning tenant, exchange
)
insert into risk_event (tenant, scope, subject, limit_name, action, detail)
select tenant, case when exchange = '' then 'PORTFOLIO' else 'EXCHANGE' end, exchange, 'kill_switch',
       'DONE', 'every wallet is done'
from done

-- name: kill_reopened
-- A wallet whose bots began in the instant of the kill switch was not known when it was done.
update kill_switch set done_at = null where id = %(kill)s and done_at is not null

-- name: last_permit
-- The end of the last permit of a wallet: nothing of its bots leaves after it.
select (extract(epoch from max(p.expires_at)) * 1000)::bigint as until_ms
from bot_permit p join bot b on b.id = p.bot_id where b.wallet_id = %(wallet)s
