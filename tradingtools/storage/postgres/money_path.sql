-- name: acquire_lease
-- Take a partition over: free, expired, or ours from an earlier life (the epoch fences that one).
-- The answer says what time it is.
insert into partition_lease (role, partition, owner, epoch, expires_at)
values (%(role)s, %(partition)s, %(owner)s, 1,
        clock_timestamp() + make_interval(secs => %(ttl_seconds)s))
on conflict (role, partition) do update
    set owner = excluded.owner, epoch = partition_lease.epoch + 1,
        expires_at = excluded.expires_at
    where partition_lease.expires_at < clock_timestamp()
       or partition_lease.owner = excluded.owner
returning epoch, (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000 as now_ns

-- name: renew_lease
-- Keep it, also a little late, as long as nobody took it over, and tell of its backlog.
update partition_lease
set expires_at = clock_timestamp() + make_interval(secs => %(ttl_seconds)s),
    backlog_ms = %(backlog_ms)s
where role = %(role)s and partition = %(partition)s and epoch = %(epoch)s
returning epoch, (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000 as now_ns

-- name: holds_lease
select holds_lease(%(role)s, %(partition)s, %(epoch)s) as held

-- name: claim
-- One journal record: the orders and decisions of a leader trade, all or nothing.
insert into journal (kind, role, record_key, partition, epoch, payload, order_count)
select 'CLAIMED', %(role)s, %(record_key)s, %(partition)s, %(epoch)s, %(payload)s,
       %(order_count)s
where holds_lease(%(role)s, %(partition)s, %(epoch)s)
on conflict (record_key) do nothing
returning seq, (extract(epoch from committed_at) * 1000000)::bigint * 1000 as claimed_ns

-- name: claim_new
-- The same for one of several that are one transaction: a record that is there already is an error, so
-- that all of them are new or none is. What a connection left behind may still insert is all or nothing.
insert into journal (kind, role, record_key, partition, epoch, payload, order_count)
select 'CLAIMED', %(role)s, %(record_key)s, %(partition)s, %(epoch)s, %(payload)s,
       %(order_count)s
where holds_lease(%(role)s, %(partition)s, %(epoch)s)
returning seq, (extract(epoch from committed_at) * 1000000)::bigint * 1000 as claimed_ns

-- name: record_exists
select 1 as found from journal where record_key = %(record_key)s

-- name: build_rows
select build_rows(%(seq)s)

-- name: set_aside
-- Leave a record that cannot become rows to a person.
select set_aside_record(%(seq)s, %(reason)s)

-- name: last_claimed
-- Where a tail of claimed records starts.
select coalesce(max(seq), 0) as seq from journal
where kind = 'CLAIMED' and role = %(role)s and partition = %(partition)s

-- name: claimed_after
-- Claimed records of one writer, for readers that fell behind.
select seq, payload, (extract(epoch from committed_at) * 1000000)::bigint * 1000 as claimed_ns
from journal
where kind = 'CLAIMED' and role = %(role)s and partition = %(partition)s and seq > %(after)s
  and order_count > 0
order by seq
limit %(limit)s

-- name: open_records
-- Records whose rows were not built yet, oldest first.
select seq, kind from journal
where partition = %(partition)s and rows_built_at is null and set_aside is null
  and (%(older_than_seconds)s::float8 is null
       or committed_at < clock_timestamp() - make_interval(secs => %(older_than_seconds)s::float8))
order by seq

-- name: acknowledge
-- Cursors of integers only go forward. Nobody waits for the disk: what is lost is read again, and
-- a flush of its own here would hold up the SUBMITTING that follows the claim.
with lazily as materialized (select set_config('synchronous_commit', 'off', true))
insert into consumer_cursor (stream, consumer, cursor)
select %(stream)s, %(consumer)s, %(cursor)s from lazily
on conflict (stream, consumer) do update
    set cursor = excluded.cursor, updated_at = clock_timestamp()
    where lpad(consumer_cursor.cursor, 20, '0') <= lpad(excluded.cursor, 20, '0')

-- name: cursor
select cursor from consumer_cursor where stream = %(stream)s and consumer = %(consumer)s

-- name: begin_again
-- A reader whose cursor cannot be: nothing is acknowledged.
update consumer_cursor set cursor = '0', updated_at = clock_timestamp()
where stream = %(stream)s and consumer = %(consumer)s

-- name: newest_record
select coalesce(max(seq), 0) as seq from journal

-- name: apply_transitions
select order_key, event_seq from apply_transitions(%(transitions)s::jsonb)
    as t(order_key, event_seq)
