-- What operators have decided about orders that nobody else can end. control writes it together
-- with its audit; confirm, the only one that books, carries it out and says what came of it.
-- depends: 0026_watch_is_over

alter table control_change drop constraint control_change_subject_kind_check;
alter table control_change add constraint control_change_subject_kind_check
    check (subject_kind in ('subscription', 'trigger', 'halt', 'order'));

create table order_resolution (
    id                     bigint generated always as identity primary key,
    order_key              text not null references orders,
    from_state             text not null check (from_state in ('DEAD', 'RESURRECTED')),
    epoch                  bigint not null,
    to_state               text not null check (to_state in ('CONFIRMED', 'FAILED')),
    -- What stands at the venue in all, as the operator has found out; null: what is booked.
    filled_size_micros     bigint check (filled_size_micros > 0),
    filled_notional_micros bigint check (filled_notional_micros >= 0),
    fee_micros             bigint check (fee_micros >= 0),
    evidence               text not null check (evidence <> ''),
    operator               text not null check (operator <> ''),
    control_seq            bigint not null,
    requested_at           timestamptz not null default clock_timestamp(),
    done_at                timestamptz,
    -- Why it was not carried out; empty: it was.
    refused                text,
    check (num_nulls(filled_size_micros, filled_notional_micros, fee_micros) in (0, 3)),
    check (to_state = 'CONFIRMED' or filled_size_micros is null),
    check ((done_at is null) = (refused is null))
);
create unique index order_resolution_open on order_resolution (order_key) where done_at is null;
create index order_resolution_order on order_resolution (order_key, id);
