-- The guard looks several times a second for triggers whose exit has ended. They are few; those that
-- are armed may be a hundred thousand.
create index trigger_under_way on trigger (order_key)
    where status in ('TRIGGERED', 'CLOSING', 'NEEDS_CONFIRM');
