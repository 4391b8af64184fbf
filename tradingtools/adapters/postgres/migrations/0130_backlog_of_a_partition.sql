-- How long the oldest of what waits at a partition's owner has waited when it last renewed its lease:
-- the live view of a run shows it.
alter table partition_lease
    add column backlog_ms bigint not null default 0 check (backlog_ms >= 0);
