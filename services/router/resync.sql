-- name: open_resyncs
-- What waits for the router, oldest first, and how long it has been waiting.
select id, subscription_id, follower_proxy, kind, state,
       (extract(epoch from clock_timestamp() - requested_at) * 1000)::bigint as waits_ms
from resync where state in ('REQUESTED', 'EXECUTING')
order by requested_at, id

-- name: leader_holdings
-- What a leader is worth, when that was reported, whether lately, and whether after the resync was
-- asked for.
select a.equity_micros, a.asked_at,
       a.asked_at > clock_timestamp() - make_interval(secs => %(age_ms)s / 1000.0) as lately,
       a.asked_at > r.requested_at as since
from leader_account a, resync r where a.leader = %(leader)s and r.id = %(id)s

-- name: resync_outcomes
-- Outcomes that the leader holds or the lot does, those of the lot first, the larger ones first.
-- Moved: the leader has traded it since that was reported, or so shortly before that it may be missing.
select k.asset_id, k.condition_id, coalesce(h.shares_micros, 0) as leader_micros,
       coalesce(l.cost_micros, 0) as cost_micros,
       exists (
           select 1 from leader_row r
           where r.leader = %(leader)s and r.asset_id = k.asset_id
             and r.traded_ms > (extract(epoch from a.asked_at) * 1000)::bigint - %(lag_ms)s
       ) as moved
from (select asset_id, max(condition_id) as condition_id
      from (select asset_id, condition_id from leader_holding where leader = %(leader)s
            union all
            select asset_id, condition_id from lot
            where origin = %(origin)s and shares_micros > 0) both_sides
      group by asset_id) k
left join leader_holding h on h.leader = %(leader)s and h.asset_id = k.asset_id
left join lot l on l.origin = %(origin)s and l.asset_id = k.asset_id
join leader_account a on a.leader = %(leader)s
order by coalesce(l.shares_micros, 0) desc, coalesce(h.shares_micros, 0) desc, k.asset_id

-- name: put_preview
update resync set
    state = %(state)s, version = version + 1,
    subscription_version = %(subscription_version)s, lines = %(lines)s::jsonb,
    omitted = %(omitted)s, leader_told_at = %(told_at)s, previewed_at = clock_timestamp()
where id = %(id)s and state = 'REQUESTED'

-- name: lock_resync
select state, subscription_version, lines,
       previewed_at < clock_timestamp() - make_interval(secs => %(ttl_ms)s / 1000.0) as expired
from resync where id = %(id)s for update

-- name: end_resync
update resync set
    state = %(state)s, version = version + 1, detail = %(detail)s, ended_at = clock_timestamp()
where id = %(id)s and state in ('REQUESTED', 'EXECUTING')
