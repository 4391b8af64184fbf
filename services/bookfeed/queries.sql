-- name: watched
-- Assets that must have a mark: somebody holds them, or a trigger waits on them.
select asset_id from lot where shares_micros > 0
union
select asset_id from trigger where status not in ('DONE', 'CANCELLED', 'RESOLVED')

-- name: of_leaders
-- What followed leaders hold, the largest first: they are likely to trade it again.
select h.asset_id from leader_holding h
where h.leader in (select leader from subscription where state = 'ACTIVE')
group by h.asset_id
order by max(h.shares_micros) desc
limit %(most)s

-- name: acknowledge
-- A reader's progress, for operators; it only moves forward within one life of bookfeed.
insert into consumer_cursor as c (stream, consumer, cursor)
values ('marks', %(consumer)s, %(cursor)s)
on conflict (stream, consumer) do update
set cursor = excluded.cursor, updated_at = clock_timestamp()
where split_part(c.cursor, '-', 1) <> split_part(excluded.cursor, '-', 1)
   or split_part(c.cursor, '-', 2)::bigint < split_part(excluded.cursor, '-', 2)::bigint
