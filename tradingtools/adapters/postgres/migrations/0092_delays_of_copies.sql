-- A subscription is shown with the delays of its last 200 copies. Orders are wide and have eight versions
-- each; the index that finds these has all that is asked.
-- depends: 0091_digests_of_keys

drop index orders_subscription;
create index orders_subscription on orders (subscription_id, created_at)
    include (purpose, received_ns, answered_ns);
