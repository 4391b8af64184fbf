-- name: wallet
select tenant from trading_wallet where id = %(id)s;

-- name: wallets
select id, exchange from trading_wallet where tenant = %(tenant)s;

-- name: set
-- Limits in the place of those before. Whoever takes a share waits, or has taken it before: so each
-- share is either judged by them, or counted by them. Losses are counted from now.
with locked as (
    insert into risk_ledger (tenant) values (%(tenant)s)
    on conflict (tenant) do update set taken_at = clock_timestamp()
    returning tenant
), told as (
    insert into risk_event (tenant, scope, subject, limit_name, action, detail)
    select tenant, %(scope)s, %(subject)s, 'limits', 'SET', %(detail)s from locked
), left_now as (
    -- What was reached is judged anew.
    insert into risk_event (tenant, scope, subject, limit_name, action, detail)
    select distinct l.tenant, l.scope, l.subject, split_part(name, ':', 1), 'LEFT', %(detail)s
    from risk_limit l cross join jsonb_object_keys(l.reached) name
    where l.tenant = %(tenant)s and l.scope = %(scope)s and l.subject = %(subject)s
)
insert into risk_limit (tenant, scope, subject, limits, instruments, changed_by)
select tenant, %(scope)s, %(subject)s, %(limits)s, %(instruments)s, %(actor)s from locked
on conflict (tenant, scope, subject) do update set limits = excluded.limits,
    instruments = excluded.instruments, changed_by = excluded.changed_by,
    version = risk_limit.version + 1, changed_at = clock_timestamp(), day = null,
    day_start_micros = null, peak_micros = null, reached = '{}'
returning tenant, scope, subject, limits, instruments, changed_by, changed_at;

-- name: remove
with locked as (
    insert into risk_ledger (tenant) values (%(tenant)s)
    on conflict (tenant) do update set taken_at = clock_timestamp()
    returning tenant
), told as (
    insert into risk_event (tenant, scope, subject, limit_name, action, detail)
    select tenant, %(scope)s, %(subject)s, 'limits', 'SET', %(detail)s from locked
), left_now as (
    -- What was reached is judged anew.
    insert into risk_event (tenant, scope, subject, limit_name, action, detail)
    select distinct l.tenant, l.scope, l.subject, split_part(name, ':', 1), 'LEFT', %(detail)s
    from risk_limit l cross join jsonb_object_keys(l.reached) name
    where l.tenant = %(tenant)s and l.scope = %(scope)s and l.subject = %(subject)s
)
delete from risk_limit l using locked
where l.tenant = locked.tenant and l.scope = %(scope)s and l.subject = %(subject)s
returning l.tenant;

-- name: breaches
select event_seq, scope, subject, limit_name, action, detail, occurred_at
from risk_event
where tenant = %(tenant)s and action not in ('SET', 'LEFT', 'DONE', 'CLEARED')
  and (%(before)s::bigint is null or event_seq < %(before)s)
  and (%(exchanges)s::text[] is null or case scope
       when 'EXCHANGE' then subject
       when 'MARKET' then split_part(subject, ':', 1)
       when 'WALLET' then (select w.exchange from trading_wallet w where w.id = subject)
       when 'BOT' then (select w.exchange from bot b join trading_wallet w on w.id = b.wallet_id
                        where b.id = subject)
       end = any(%(exchanges)s))
order by event_seq desc limit %(limit)s;

-- name: kill
-- One that stands stays as it is. What has not begun does not begin by itself later.
with stands as (
    select id from kill_switch
    where tenant = %(tenant)s and exchange = %(exchange)s and cleared_at is null
), reached as (
    select w.id from trading_wallet w
    where w.tenant = %(tenant)s and %(exchange)s in ('', w.exchange) and w.state = 'ACTIVE'
), concerned as (
    select r.id from reached r
    where exists (select from bot b where b.wallet_id = r.id and b.state <> 'IDLE')
), made as (
    -- One that concerns no wallet is done at once.
    insert into kill_switch (id, tenant, exchange, reason, actor, set_at, done_at)
    select %(id)s, %(tenant)s, %(exchange)s, %(reason)s, %(actor)s, statement_timestamp(),
           case when not exists (select from concerned) then statement_timestamp() end
    where not exists (select from stands)
    on conflict do nothing
    returning id, done_at
), wallets as (
    insert into kill_switch_wallet (kill_id, wallet_id)
    select made.id, c.id from made cross join concerned c
), idle as (
    update bot set desired = 'IDLE', version = version + 1
    where state = 'IDLE' and desired = 'RUNNING' and exists (select from made)
      and wallet_id in (select id from reached)
), told as (
    insert into risk_event (tenant, scope, subject, limit_name, action, detail)
    select %(tenant)s, case when %(exchange)s = '' then 'PORTFOLIO' else 'EXCHANGE' end, %(exchange)s,
           'kill_switch', one.action, one.detail
    from made cross join lateral (
        values (1, 'FLATTEN_AND_STOP', %(actor)s || ': ' || %(reason)s),
               (2, 'DONE', 'no wallet has anything to close')
    ) one (place, action, detail)
    where one.action <> 'DONE' or made.done_at is not null
    order by one.place
)
select id from made union all select id from stands;

-- name: clear
-- A wish of the instant in which it was set is none any more: nothing begins by being cleared.
with cleared as (
    update kill_switch set cleared_at = clock_timestamp(), cleared_by = %(actor)s
    where id = %(id)s and cleared_at is null
    returning tenant, exchange
), waiting as (
    update bot b set desired = b.state, version = b.version + 1
    from cleared c, trading_wallet w
    where w.id = b.wallet_id and w.tenant = c.tenant and c.exchange in ('', w.exchange)
      and b.desired = 'RUNNING' and b.state in ('IDLE', 'STOPPED', 'PAUSED')
)
insert into risk_event (tenant, scope, subject, limit_name, action, detail)
select tenant, case when exchange = '' then 'PORTFOLIO' else 'EXCHANGE' end, exchange, 'kill_switch',
       'CLEARED', 'cleared by ' || %(actor)s
from cleared returning tenant;

-- name: kills
-- With their wallets.
select k.id, k.tenant, k.exchange, k.reason, k.actor, k.set_at, k.done_at, k.cleared_at, k.cleared_by,
       w.wallets
from kill_switch k
left join lateral (
    select jsonb_agg(jsonb_build_object(
               'wallet_id', p.wallet_id, 'phase', p.phase, 'engine', p.engine, 'bots', p.bots,
               'orders', p.orders, 'holdings', p.holdings, 'detail', p.detail,
               'last_arrival_at', p.last_arrival_at, 'changed_at', p.changed_at)
               order by p.wallet_id) as wallets
    from kill_switch_wallet p where p.kill_id = k.id
) w on true

-- name: one
where k.id = %(id)s;

-- name: page
where k.tenant = %(tenant)s and (k.cleared_at is null or k.id in (
    select id from kill_switch where tenant = %(tenant)s and cleared_at is not null
    order by set_at desc, id limit 20))
order by k.set_at desc, k.id;
