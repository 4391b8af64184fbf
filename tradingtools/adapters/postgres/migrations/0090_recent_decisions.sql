-- A router that catches up reads what is not done by indexes: it scanned all decisions, and nobody
-- claimed meanwhile.
-- depends: 0089_bookings_write_once

create index decision_updated on decision using brin (updated_at) with (pages_per_range = 16);
create index decision_awaited on decision (subscription_id) where frozen ? 'awaited';
create index decision_exit_reason on decision (reason) where side = 'SELL' and reason <> '';
