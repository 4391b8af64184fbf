-- name: figures
-- Every figure in one statement; an age is in seconds.
with needed as (
    select w.id, l.until >= clock_timestamp() as owned
    from trading_wallet w left join trading_wallet_lease l on l.wallet_id = w.id
    where w.state = 'ACTIVE' and exists (
        select from bot b where b.wallet_id = w.id
        and (b.desired = 'RUNNING' and b.state not in ('RISK_STOPPED', 'ERROR')
             or b.state in ('STARTING', 'RUNNING', 'PAUSING', 'STOPPING') or b.flattening
             or exists (select from outcome_set_change c
                        where c.wallet_id = w.id and c.state = 'PENDING')
             or exists (select from bot_order o where o.bot_id = b.id and not o.settled)))
), unsettled as (
    select o.state, o.changed_at, case when o.state = 'UNKNOWN' then (
               -- Each look that finds nothing writes the order anew.
               select e.occurred_at from bot_order_event e
               where e.order_id = o.order_id and e.to_state = 'UNKNOWN'
               order by e.event_seq desc limit 1) end as unknown_at
    from bot_order o where not o.settled
), kills as (
    select set_at, done_at is not null as done from kill_switch where cleared_at is null
), made as (
    select w.exchange, b.strategy, r.result_micros
    from risk_result r join bot b on b.id = r.bot_id join trading_wallet w on w.id = b.wallet_id
    where b.state in ('STARTING', 'RUNNING', 'PAUSING', 'PAUSED', 'STOPPING', 'RISK_STOPPED', 'ERROR')
), held as (
    select split_part(s.instrument_id, ':', 1) as exchange, s.held_micros, s.marked_at, b.state
    from risk_share s join bot b on b.id = s.bot_id where s.held_micros <> 0
)
select 'bots' as name, state as one, '' as other, count(*)::float8 as value from bot group by state
union all
select 'unattended', state, '', count(*)::float8 from bot
where state in ('RISK_STOPPED', 'ERROR') and desired <> 'STOPPED' group by state
union all
select 'moving', '', '', coalesce(max(extract(epoch from clock_timestamp() - changed_at)), 0)::float8
from bot where state in ('STARTING', 'PAUSING', 'STOPPING')
union all
select 'flattening', '', '', count(*)::float8 from bot where flattening
union all
select 'unwritten', '', '', coalesce(max(extract(epoch from
           clock_timestamp() - greatest(s.written_at, b.changed_at))), 0)::float8
from bot b left join bot_standing s on s.bot_id = b.id where b.state = 'RUNNING'
union all
select 'orders', state, '', count(*)::float8 from unsettled group by state
union all
select 'orders_oldest', state, '', max(extract(epoch from
           clock_timestamp() - coalesce(unknown_at, changed_at)))::float8
from unsettled group by state
union all
select 'wallets', case when owned then 'true' else 'false' end, '', count(*)::float8
from (select coalesce(owned, false) as owned from needed) one group by owned
union all
select 'engines', state, '', count(*)::float8 from (
    select case when until < clock_timestamp() then 'gone'
                when draining or leaving then 'draining' else 'live' end as state
    from bot_engine
    -- One that was told to end has said so; one that does not come back is forgotten after a day.
    where until >= clock_timestamp()
       or not leaving and seen_at > clock_timestamp() - interval '1 day'
) one group by state
union all
select 'unseen', '', '', coalesce(max(extract(epoch from clock_timestamp() - seen_at)), 0)::float8
from bot_engine where until >= clock_timestamp()
union all
select 'kills', case when done then 'true' else 'false' end, '', count(*)::float8 from kills group by done
union all
select 'kill_age', '', '', coalesce(max(extract(epoch from clock_timestamp() - set_at)), 0)::float8
from kills where not done
union all
select 'reached', scope, '', sum((select count(*) from jsonb_object_keys(reached)))::float8
from risk_limit group by scope
union all
select 'missing', '', '', count(*)::float8 from position_gap where missing > 0 and not explained
union all
select 'result', exchange, strategy, sum(result_micros)::float8 / 1e6 from made group by exchange, strategy
union all
select 'lowest', exchange, strategy, min(result_micros)::float8 / 1e6 from made group by exchange, strategy
union all
select 'held', exchange, case when held_micros > 0 then 'LONG' else 'SHORT' end,
       sum(abs(held_micros))::float8 / 1e6 from held group by 2, 3
union all
select 'mark_age', '', '', coalesce(max(extract(epoch from clock_timestamp() - marked_at)), 0)::float8
from held where state = 'RUNNING'

-- name: unowned
-- Wallets whose bots need an engine and have none, each with who had it last.
select w.id as wallet, w.exchange, count(*) as bots, coalesce(min(l.engine), '') as engine
from trading_wallet w
join bot b on b.wallet_id = w.id
left join trading_wallet_lease l on l.wallet_id = w.id
where w.state = 'ACTIVE' and (l.until is null or l.until < clock_timestamp())
  and (b.desired = 'RUNNING' and b.state not in ('RISK_STOPPED', 'ERROR')
       or b.state in ('STARTING', 'RUNNING', 'PAUSING', 'STOPPING') or b.flattening
       or exists (select from bot_order o where o.bot_id = b.id and not o.settled))
group by w.id, w.exchange
order by w.id

-- name: limited
select distinct tenant from risk_limit order by tenant
