-- What copies of a wallet may spend, moved by the product's backend.
-- depends: 0010_control 0029_poison_is_audited

alter table control_change drop constraint control_change_subject_kind_check;
alter table control_change add constraint control_change_subject_kind_check
    check (subject_kind in
        ('subscription', 'trigger', 'halt', 'order', 'breaker', 'message', 'funding'));

create table funding (
    follower_proxy text primary key check (follower_proxy ~ '^0x[0-9a-f]{40}$'),
    -- Put in less taken out.
    funded_micros  bigint not null check (funded_micros >= 0),
    -- What trading had moved of the wallet's money before the first movement: it counts neither way.
    before_micros  bigint not null,
    changed_seq    bigint not null
);
create index funding_changed on funding (changed_seq);

-- One row a movement, for ever: what makes repeating it harmless.
create table funding_operation (
    operation_id   text primary key,
    follower_proxy text not null references funding,
    amount_micros  bigint not null check (amount_micros <> 0),
    reason         text not null,
    -- After this movement.
    funded_micros  bigint not null,
    control_seq    bigint not null,
    moved_at       timestamptz not null default clock_timestamp()
);
