-- name: backlogs
-- How long the oldest of what waits in each process has waited, as it said with its lease.
select role || '-' || partition as name, backlog_ms from partition_lease;
