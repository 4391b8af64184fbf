-- Exits that are too small to be sold: what the follower wants done, and those that wait for the
-- leader's next sell, found on start.

alter table subscription add constraint subscription_exit_minimum_check check (
    coalesce(settings->>'exit_below_minimum' in ('ACCUMULATE', 'ROUND_UP', 'WAIT'), true));
create index decision_small on decision (subscription_id) where frozen ? 'small_micros';
