-- name: hops_of
select percentile_disc(0.5) within group (order by routed_ns - received_ns),
       percentile_disc(0.5) within group (order by claimed_ns - routed_ns),
       percentile_disc(0.5) within group (order by submitting_ns - claimed_ns),
       percentile_disc(0.5) within group (order by first_byte_ns - submitting_ns)
from orders
where leader_tx = any(%(transactions)s) and first_byte_ns > 0

-- name: guarded_lots
-- Shares that followers hold in each asset; a lot's number is its place among those of its asset.
insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros, bought_size_micros,
                 by_hand_micros)
select '0x' || lpad(to_hex(a * 1000 + n), 40, '0'), (a + 1)::text, 'manual',
       '0x' || lpad(to_hex(a + 1), 64, '0'), size, size, size
from generate_series(0, %(assets)s - 1) a, generate_series(0, %(lots)s - 1) n,
     lateral (select (20 + 10 * (n %% 10))::bigint * 1000000 as size) s

-- name: armed_triggers
-- Five to a lot, as if made with its position: only the stop-loss is ever reached, each by a dip of
-- its own.
insert into trigger (id, follower_proxy, condition_id, asset_id, origin, follower_user_id,
                     follower_wallet_id, made_for, status, trigger_type, price_micros, peak_micros,
                     peak_noted_micros, callback_ppm, fire_at_ms, rungs)
select 'trg_' || md5(concat_ws('/', l.follower_proxy, l.asset_id, k.trigger_type)),
       l.follower_proxy, l.condition_id, l.asset_id, 'manual', 'user', 'wallet', 'buy', 'ARMED', k.*
from lot l,
     lateral (select ('x' || right(l.follower_proxy, 7))::bit(28)::int %% 1000 as n) place,
     lateral (values
         ('STOP_LOSS', 400000 - place.n * 2000, null::bigint, null::bigint, null::int,
          null::bigint, null::jsonb),
         ('TAKE_PROFIT', 600000 + place.n * 2000, null, null, null, null, null),
         ('TRAILING_STOP', 300000, 490000, 490000, 650000, null, null),
         ('LADDER', null, null, null, null, null, jsonb_build_array(
             jsonb_build_object('price_micros', 700000, 'share_ppm', 500000),
             jsonb_build_object('price_micros', 800000, 'share_ppm', 500000))),
         ('TIME_STOP', null, null, null, null, 4102444800000, null)
     ) k (trigger_type, price_micros, peak_micros, peak_noted_micros, callback_ppm, fire_at_ms,
          rungs)

-- name: multiply
-- Followers like one that was made over REST, himself the first of them, each with his change.
with made as materialized (
    insert into subscription
    select copy.*
    from subscription s, generate_series(2, %(count)s) n,
         lateral jsonb_populate_record(s, jsonb_build_object(
             'id', 'sub_' || md5(concat_ws('/', s.id, n)),
             'follower_user_id', md5(concat_ws('/', s.follower_user_id, n)),
             'follower_wallet_id', md5(concat_ws('/', s.follower_wallet_id, n)),
             'follower_proxy', '0x' || right(md5(s.follower_proxy) || md5(n::text), 40),
             'changed_seq', 0)) copy
    where s.id = %(id)s
    returning *)
select append_control_change('bench', 'bench', 'create', 'subscription', m.id, null,
                             to_jsonb(m) - 'changed_seq')
from made m

-- name: multiplied
-- Each of them knows his change; in the same transaction.
update subscription s set changed_seq = c.seq
from control_change c, subscription first
where first.id = %(id)s and s.leader = first.leader and s.changed_seq = 0 and c.subject_id = s.id

-- name: settled
-- Whether nothing is under way: every record has its rows, every order its end and its booking.
select not exists (select from journal where rows_built_at is null and set_aside is null)
   and not exists (select from orders
                   where state in ('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN'))
   and not exists (select from reservation where released_at is null)

-- name: wallet
-- Of a leader's only follower.
select follower_proxy from subscription where leader = %(leader)s

-- name: followers
-- Of one leader; a follower's number is his wallet. One change stands for all of them.
with change as materialized (
    select append_control_change('bench', 'bench', 'create', 'subscription', %(leader)s, null, null)
        as seq)
insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy, leader, state,
                          version, sizing_mode, sizing_micros, max_slippage_micros, changed_seq)
select 'sub_' || md5(%(leader)s || n), 'user', 'wallet', '0xf' || lpad(to_hex(n), 39, '0'),
       %(leader)s, 'ACTIVE', 1, 'FIXED', 10000000, 200000, change.seq
from change, generate_series(1, %(followers)s) n

-- name: newest_follower
select id from subscription order by changed_seq desc limit 1

-- name: backends_of_control
select pid from pg_stat_activity where application_name = 'tradingtools-control'

-- name: log_is_whole
-- Whether all that was written is in the log of events.
select p.log_number >= (select last_value from log_number_seq) from event_log_position p

-- name: stages
-- When the rows behind events of orders were written and committed, and when the events were in the log;
-- microseconds since the epoch. Needs track_commit_timestamp.
select e.number,
       (extract(epoch from e.occurred_at) * 1000000)::bigint as written_us,
       (extract(epoch from pg_xact_commit_timestamp(coalesce(o.xmin, b.xmin))) * 1000000)::bigint
           as committed_us,
       (extract(epoch from pg_xact_commit_timestamp(e.xmin)) * 1000000)::bigint as logged_us
from event e
left join order_event o on o.event_seq = e.log_number
left join booking b on b.fill_seq = e.log_number
where e.number = any(%(numbers)s) and coalesce(o.event_seq, b.fill_seq) is not null
