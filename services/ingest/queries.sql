-- name: leaders
-- Whose trades matter: everyone who is followed, and everyone whose followers still hold shares.
select leader from subscription where state <> 'DELETED'
union
select s.leader from lot l join subscription s on s.id = l.origin where l.shares_micros > 0

-- name: control_seq
-- The newest change of the control surface.
select coalesce(max(seq), 0) as seq from control_change

-- name: last_traded
-- Up to when each leader is known: to his newest trade, but no further than to the last survey. The feed
-- tells of a new trade and of nothing that came before it, as in an outage.
select r.leader,
       least(max(r.traded_ms), (extract(epoch from max(a.asked_at)) * 1000)::bigint) as traded_ms
from leader_row r left join leader_account a using (leader)
where r.leader = any(%s) group by r.leader

-- name: identify
-- Tie this life of the log in Redis to the database.
insert into store_identity (name, value) values ('redis_incarnation', %s)
on conflict (name) do update set value = excluded.value

-- name: make_log_key
insert into store_identity (name, value) values ('leader_log_key', %s) on conflict do nothing

-- name: log_key
select value from store_identity where name = 'leader_log_key'

-- name: reject
-- Keep a sample of a refused frame for a person to look at.
insert into rejected_frame (source, reason, sample, bytes_total)
select * from unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[])

-- name: acknowledge
-- A reader's cursor only moves forward; one of another incarnation is replaced. Nobody waits for
-- the disk: what is lost is read again.
with lazily as materialized (select set_config('synchronous_commit', 'off', true))
insert into consumer_cursor as c (stream, consumer, cursor)
select 'leader_trades', %(consumer)s, %(cursor)s from lazily
on conflict (stream, consumer) do update
set cursor = excluded.cursor, updated_at = clock_timestamp()
where split_part(c.cursor, '-', 1) <> split_part(excluded.cursor, '-', 1)
   or (split_part(c.cursor, '-', 2)::bigint, split_part(c.cursor, '-', 3)::bigint)
    < (split_part(excluded.cursor, '-', 2)::bigint, split_part(excluded.cursor, '-', 3)::bigint)

-- name: assets
-- Assets of conditions that a leader has traded or that his followers hold: an exit matters there.
select distinct condition_id, asset_id from leader_row
where leader = %(leader)s and condition_id = any(%(conditions)s)
union
select l.condition_id, l.asset_id from lot l join subscription s on s.id = l.origin
where s.leader = %(leader)s and l.condition_id = any(%(conditions)s) and l.shares_micros > 0

-- name: keep_account
insert into leader_account (leader, equity_micros, asked_at)
values (%(leader)s, %(equity)s, clock_timestamp())
on conflict (leader) do update
set equity_micros = excluded.equity_micros, asked_at = excluded.asked_at

-- name: drop_holdings
-- What he holds no more.
delete from leader_holding where leader = %(leader)s and not asset_id = any(%(assets)s)

-- name: keep_holdings
insert into leader_holding as h (leader, asset_id, condition_id, shares_micros)
select %(leader)s, * from unnest(%(assets)s::text[], %(conditions)s::text[], %(shares)s::bigint[])
on conflict (leader, asset_id) do update
set condition_id = excluded.condition_id, shares_micros = excluded.shares_micros
where (h.condition_id, h.shares_micros) <> (excluded.condition_id, excluded.shares_micros)
