-- name: engines
-- Engines by name, each with the wallets that it has; of one, or of all.
select e.name, e.venues, e.capacity, e.version, e.bots, e.lag_ms, e.draining, e.drain_actor,
       e.drain_at, e.leaving, e.started_at, e.seen_at, e.until >= clock_timestamp() as live,
       coalesce(held.wallets, '[]') as wallets
from bot_engine e
left join lateral (
    select jsonb_agg(jsonb_build_object(
        'id', w.id, 'exchange', w.exchange, 'epoch', l.epoch,
        'bots', (select count(*) from bot b where b.wallet_id = w.id)) order by w.id) as wallets
    from trading_wallet_lease l join trading_wallet w on w.id = l.wallet_id
    where l.engine = e.name and l.until >= clock_timestamp()
) held on true
where %(name)s::text is null or e.name = %(name)s
order by e.name;

-- name: waiting
-- Wallets whose bots have to run and that no engine has.
select w.id from trading_wallet w
left join trading_wallet_lease l on l.wallet_id = w.id and l.until >= clock_timestamp()
where w.state = 'ACTIVE' and l.wallet_id is null
  and exists (select from bot b where b.wallet_id = w.id and b.desired = 'RUNNING'
              and b.state not in ('RISK_STOPPED', 'ERROR'))
order by w.id;

-- name: drain
-- Another wish; nothing when it is wanted already.
update bot_engine set draining = %(draining)s, drain_actor = %(actor)s, drain_at = clock_timestamp()
where name = %(name)s and draining <> %(draining)s
returning name;
