-- What the live view and the end of a run ask, all of it read only. `since` as in evidence.sql.

-- name: totals
select (select count(distinct (leader_tx, leader, asset_id, side)) from leader_row
        where seen_at >= %(since)s)::int as leader_trades,
       (select count(*) from decision where decided_at >= %(since)s)::int as decisions,
       (select count(*) from decision where copied and decided_at >= %(since)s)::int as copied,
       (select count(*) from fill f join orders o using (order_key)
        where f.status <> 'FAILED' and o.created_at >= %(since)s)::int as fills,
       (select count(*) from journal where rows_built_at is null
        and committed_at >= %(since)s)::int as journal_unbuilt,
       (select count(*) from rejected_frame where rejected_at >= %(since)s)::int as rejected_frames;

-- name: alerts
-- The newest messages, whoever is notified.
select title from alert_message where made_at >= %(since)s order by seq desc limit 5;

-- name: bots
select name, state,
       (select count(*) from bot_order o where o.bot_id = b.id
        and o.state in ('OPEN', 'PARTIALLY_FILLED'))::int as quotes,
       (select count(*) from bot_fill f where f.bot_id = b.id)::int as fills
from bot b order by created_at, id limit 5;

-- name: skips
select reason, count(*)::int as number from decision
where not copied and decided_at >= %(since)s group by reason order by 2 desc, 1;

-- name: orders
select state, purpose, count(*)::int as number from orders
where created_at >= %(since)s group by state, purpose;

-- name: failures
select failed_kind, reason, count(*)::int as number from orders
where state = 'FAILED' and created_at >= %(since)s group by failed_kind, reason order by 3 desc;

-- name: triggers
select trigger_type, status, count(*)::int as number from trigger
where created_at >= %(since)s group by trigger_type, status;

-- name: fired
select t.trigger_type, count(distinct t.id)::int as fired,
       count(distinct t.id) filter (where o.state = 'CONFIRMED')::int as confirmed
from trigger t join orders o on o.trigger_id = t.id
where o.created_at >= %(since)s group by t.trigger_type;

-- name: profit
select coalesce(sum(realised_micros), 0)::bigint as realised_micros,
       coalesce(sum(fee_micros), 0)::bigint as fee_micros,
       coalesce(sum(cost_micros), 0)::bigint as open_cost_micros,
       coalesce(sum(bought_notional_micros), 0)::bigint as bought_micros,
       coalesce(sum(sold_notional_micros), 0)::bigint as sold_micros,
       (count(*) filter (where shares_micros > 0))::int as open_lots
from lot l where exists (
    select 1 from subscription s
    where s.follower_proxy = l.follower_proxy and s.created_at >= %(since)s);

-- name: latencies
-- Instants of the newest orders that copy a leader's trade; 0 where a step was not reached. Entries
-- of a wallet leave one after the other: its turn comes when the one before it is answered. What the
-- collar holds waits by a rule, and is no part of our own time.
select received_ns, routed_ns, claimed_ns, submitting_ns,
       case when held_ns > 0 then claimed_ns else 0 end as held_ns, claimed_ns + held_ns as cleared_ns,
       case when received_ns > 0 then received_ns + held_ns else 0 end as own_ns,
       case when first_byte_ns > 0 and purpose = 'ENTRY'
            then least(greatest(submitting_ns, lag(answered_ns) over (
                 partition by follower_proxy, purpose order by first_byte_ns)), first_byte_ns)
            when first_byte_ns > 0 then submitting_ns
            else 0 end as turn_ns,
       first_byte_ns, answered_ns, confirmed_ns
from (select * from orders where purpose <> 'GUARD_EXIT' and created_at >= %(since)s
      order by created_at desc limit %(newest)s) newest;

-- name: backlogs
-- Of each process that owns a partition, when it last renewed its lease.
select role, max(backlog_ms)::bigint as oldest_ms from partition_lease
where role in ('router', 'executor') and expires_at > clock_timestamp() group by role order by role;

-- name: open_orders
select (select count(*) from orders
        where state in ('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN')
          and created_at >= %(since)s)::int
     + (select count(*) from redemption
        where state <> 'CONFIRMED' and requested_at >= %(since)s)::int as number;

-- name: decided
select leader_tx, leader, asset_id, side, subscription_id from decision
where decided_at >= %(since)s;
