-- An order whose watch is over has an instant that clients can read: they refuse infinity.
-- depends: 0025_order_ends

drop index orders_watched;
update orders set next_check_at = '9000-01-01 00:00:00+00' where next_check_at = 'infinity';

create index orders_watched on orders (coalesce(next_check_at, '-infinity'::timestamptz))
    where state in ('DEAD', 'RESURRECTED', 'CONFIRMED', 'FAILED', 'LOST')
      and next_check_at is distinct from '9000-01-01 00:00:00+00'::timestamptz;
