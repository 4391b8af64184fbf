-- name: outcomes
-- Outcomes that a subscription decided about or holds, by market and outcome, after a key.
select condition_id, asset_id, coalesce(sum(shares), 0)::bigint as shares_micros
from (select condition_id, asset_id, shares_micros as shares from lot where origin = %(id)s
      union all
      select distinct condition_id, asset_id, 0 from decision where subscription_id = %(id)s) known
where (condition_id, asset_id) > (%(after_condition)s::text, %(after_asset)s::text)
group by condition_id, asset_id
order by condition_id, asset_id limit %(limit)s;

-- name: ideal
-- What would be held, by what moved these lots or would have, oldest first. Sells that the
-- subscription does not follow would have moved nothing.
select asset_id, ideal_shares(kind, size_micros, held_micros, everything order by at) as ideal_micros
from (
    select d.asset_id, d.decided_at as at, 'ENTRY' as kind, d.ordered_size_micros as size_micros,
           null::bigint as held_micros, false as everything
    from decision d
    where d.subscription_id = %(id)s and d.asset_id = any(%(assets)s) and d.side = 'BUY'
    union all
    select d.asset_id, d.decided_at, 'LEADER_SELL', d.leader_size_micros,
           (select max(r.held_before_micros) from leader_row r
            where r.leader_tx = d.leader_tx and r.leader = d.leader and r.asset_id = d.asset_id
              and r.side = d.side),
           coalesce(d.frozen->'settings'->>'exit_mode', '') = 'ALL'
    from decision d
    where d.subscription_id = %(id)s and d.asset_id = any(%(assets)s) and d.side = 'SELL'
      and d.reason not in ('EXITS_OFF', 'SIDE_FILTERED')
    union all
    select o.asset_id, o.created_at, 'OWN_SALE', o.filled_size_micros, null, false
    from orders o
    where o.subscription_id = %(id)s and o.asset_id = any(%(assets)s)
      and o.purpose = 'GUARD_EXIT' and o.filled_size_micros > 0
    union all
    select l->>'asset_id', r.ended_at, 'RESYNC',
           (l->>'held_micros')::bigint
               + case l->>'side' when 'BUY' then 1 else -1 end * (l->>'size_micros')::bigint,
           null, false
    from resync r, jsonb_array_elements(r.lines) l
    where r.subscription_id = %(id)s and r.state = 'EXECUTED' and l ? 'order_key'
      and l->>'asset_id' = any(%(assets)s)
    union all
    select p.asset_id, p.booked_at, 'RESOLVED', 0, null, false
    from payout p where p.origin = %(id)s and p.asset_id = any(%(assets)s)
) moved
group by asset_id;

-- name: shortfalls
-- Shares that copies ordered and did not get, and leader trades that were not copied, by reason. Of
-- an exit only the last slice counts: each one sells what the one before left. What came before a
-- resync of the outcome does not count: that set right what was missing or too much by then.
with resynced as (
    select l->>'asset_id' as asset_id, max(r.ended_at) as at
    from resync r, jsonb_array_elements(r.lines) l
    where r.subscription_id = %(id)s and r.state = 'EXECUTED' and l ? 'order_key'
    group by 1
)
select o.asset_id, o.side, count(*) as number,
       sum(o.size_micros - o.filled_size_micros)::bigint as size_micros,
       case when o.state in ('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN', 'DEAD') then o.state
            else coalesce(nullif(o.reason, ''), 'PARTLY_FILLED') end as reason
from orders o left join resynced using (asset_id)
where o.subscription_id = %(id)s and o.asset_id = any(%(assets)s)
  and (resynced.at is null or o.created_at >= resynced.at)
  and o.purpose in ('ENTRY', 'COPY_EXIT') and o.filled_size_micros < o.size_micros
  and not (o.purpose = 'COPY_EXIT' and exists (
      select 1 from orders later
      where later.copy_key = o.copy_key and later.ordinal > o.ordinal))
group by 1, 2, 5
union all
select asset_id, side, count(*), null, reason
from decision left join resynced using (asset_id)
where subscription_id = %(id)s and asset_id = any(%(assets)s) and not copied and reason <> ''
  and (resynced.at is null or decided_at >= resynced.at)
group by asset_id, side, reason
union all
-- Shares that left without an order of ours, less what was given back; what came in so is below zero.
select c.asset_id, case when c.reason = 'ADOPTED' then 'BUY' else 'SELL' end, count(*),
       sum(c.size_micros)::bigint,
       case when c.reason = 'ADOPTED' then 'ADOPTED' else 'SOLD_ELSEWHERE' end
from lot_correction c left join resynced using (asset_id)
where c.origin = %(id)s and c.asset_id = any(%(assets)s)
  and (resynced.at is null or c.corrected_at >= resynced.at)
group by c.asset_id, 2, 5 having sum(c.size_micros) <> 0
order by 1, 2, 5;

-- name: wallet
-- When insiders-api reported a wallet last; null when something was booked since.
select b.polled_at from follower_balance b
where b.follower_proxy = %(proxy)s and b.moves = b.polled_moves;

-- name: wallet_positions
-- What all lots of a wallet hold of these assets, and what insiders-api says it holds.
select a.asset_id,
       coalesce((select sum(l.shares_micros) from lot l
                 where l.follower_proxy = %(proxy)s and l.asset_id = a.asset_id), 0)::bigint as lots,
       coalesce((select p.shares_micros from follower_position p
                 where p.follower_proxy = %(proxy)s and p.asset_id = a.asset_id), 0)::bigint
           as wallet
from unnest(%(assets)s::text[]) as a(asset_id);
