-- name: watched
-- Assets that must have a mark: somebody holds them, or a trigger waits on them.
select asset_id from lot where shares_micros > 0
union
select asset_id from trigger where status not in ('DONE', 'CANCELLED', 'RESOLVED')

-- name: acknowledge
-- A reader's progress, for operators; it only moves forward within one life of bookfeed.
insert into consumer_cursor as c (stream, consumer, cursor)
values ('marks', %(consumer)s, %(cursor)s)
on conflict (stream, consumer) do update
set cursor = excluded.cursor, updated_at = clock_timestamp()
where split_part(c.cursor, '-', 1) <> split_part(excluded.cursor, '-', 1)
   or split_part(c.cursor, '-', 2)::bigint < split_part(excluded.cursor, '-', 2)::bigint
