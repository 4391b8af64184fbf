-- name: engines
-- Engines by name, each with the wallets that it has; of one, or of all. Of exchanges that are named,
-- or of all: those that can one of them or have a wallet there, with what is of these.
select e.name, own.venues, e.capacity, e.version, e.bots, e.lag_ms, e.draining, e.drain_actor,
       e.drain_at, e.leaving, e.started_at, e.seen_at, e.until >= clock_timestamp() as live,
       coalesce(held.wallets, '[]') as wallets
from bot_engine e
cross join lateral (
    select coalesce(array_agg(v order by at), '{}') as venues
    from unnest(e.venues) with ordinality as all_of (v, at)
    where %(exchanges)s::text[] is null or v = any(%(exchanges)s)
) own
left join lateral (
    select jsonb_agg(jsonb_build_object(
        'id', w.id, 'exchange', w.exchange, 'epoch', l.epoch,
        'bots', (select count(*) from bot b where b.wallet_id = w.id)) order by w.id) as wallets
    from trading_wallet_lease l join trading_wallet w on w.id = l.wallet_id
    where l.engine = e.name and l.until >= clock_timestamp()
      and (%(exchanges)s::text[] is null or w.exchange = any(%(exchanges)s))
) held on true
where (%(name)s::text is null or e.name = %(name)s)
  and (%(exchanges)s::text[] is null or own.venues <> '{}' or held.wallets is not null)
order by e.name;

-- name: waiting
-- Wallets whose bots have to run and that no engine has.
select w.id from trading_wallet w
left join trading_wallet_lease l on l.wallet_id = w.id and l.until >= clock_timestamp()
where w.state = 'ACTIVE' and l.wallet_id is null
  and (%(exchanges)s::text[] is null or w.exchange = any(%(exchanges)s))
  and exists (select from bot b where b.wallet_id = w.id and b.desired = 'RUNNING'
              and b.state not in ('RISK_STOPPED', 'ERROR'))
order by w.id;

-- name: drain
-- Another wish; nothing when it is wanted already.
update bot_engine set draining = %(draining)s, drain_actor = %(actor)s, drain_at = clock_timestamp()
where name = %(name)s and draining <> %(draining)s
returning name;
