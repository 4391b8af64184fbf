-- Acceptances that came after their order had been fenced: evidence, not a transition. What becomes
-- of the order is decided by confirm's question by key, or by a person who finds this here.
-- depends: 0020_submitting_once

create table late_acceptance (
    order_key      text primary key references orders,
    venue_order_id text not null,
    -- The state in which the answer found the order.
    found_state    text not null,
    answered_ns    bigint not null,
    detail         text not null,
    noted_at       timestamptz not null default clock_timestamp()
);
