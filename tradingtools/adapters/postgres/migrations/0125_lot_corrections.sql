-- Shares that left a lot without an order of ours: sold by hand at insiders-api, or found out by an
-- operator. Amounts are micros (1e-6) of shares or USDC.
-- depends: 0140_follower_identities

alter table control_change drop constraint control_change_subject_kind_check;
alter table control_change add constraint control_change_subject_kind_check
    check (subject_kind in ('subscription', 'trigger', 'halt', 'order', 'breaker', 'message',
                            'funding', 'wallet', 'lot'));

-- What corrections have taken of a lot and not given back, and what it had cost: nobody knows what it
-- was sold for, so that it is no profit and no loss.
alter table lot
    add column elsewhere_micros      bigint not null default 0 check (elsewhere_micros >= 0),
    add column elsewhere_cost_micros bigint not null default 0 check (elsewhere_cost_micros >= 0);

-- What operators have decided about lots. control writes it together with its audit; confirm, the only
-- one that books, carries it out and says what came of it.
create table lot_request (
    id             bigint generated always as identity primary key,
    request_id     text not null unique check (request_id <> ''),
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    -- What the lot is to hold.
    shares_micros  bigint not null check (shares_micros >= 0),
    evidence       text not null check (evidence <> ''),
    operator       text not null check (operator <> ''),
    control_seq    bigint not null,
    requested_at   timestamptz not null default clock_timestamp(),
    done_at        timestamptz,
    -- Why it was not carried out; empty: it was.
    refused        text,
    foreign key (follower_proxy, asset_id, origin) references lot,
    check ((done_at is null) = (refused is null))
);
create unique index lot_request_open on lot_request (follower_proxy, asset_id, origin)
    where done_at is null;
create index lot_request_undone on lot_request (id) where done_at is null;

create table lot_correction (
    id             bigint generated always as identity primary key,
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    condition_id   text not null,
    reason         text not null check (reason in ('SOLD_ELSEWHERE', 'OPERATOR')),
    -- By how much the lot holds less; below zero: more.
    size_micros    bigint not null check (size_micros <> 0),
    cost_micros    bigint not null,
    -- What it holds, and what that has cost, from then on.
    shares_micros  bigint not null check (shares_micros >= 0),
    left_micros    bigint not null check (left_micros >= 0),
    -- What insiders-api told that the wallet holds; null: an operator has decided.
    held_micros    bigint,
    lot_request_id bigint unique references lot_request,
    corrected_at   timestamptz not null default clock_timestamp(),
    foreign key (follower_proxy, asset_id, origin) references lot,
    check ((reason = 'OPERATOR') = (lot_request_id is not null)),
    check ((reason = 'SOLD_ELSEWHERE') = (held_micros is not null)),
    check (reason = 'OPERATOR' or size_micros > 0)
);
create index lot_correction_origin on lot_correction (origin, asset_id);

-- A booking is about an order, a payout, or a correction.
alter table booking add column correction_id bigint unique references lot_correction;
alter table booking drop constraint booking_kind_check;
alter table booking add constraint booking_kind_check
    check (kind in ('MATCHED', 'CONFIRMED', 'UNDONE', 'CLOSED', 'RESOLVED', 'CORRECTED'));
alter table booking drop constraint booking_subject_check;
alter table booking add constraint booking_subject_check
    check (num_nonnulls(order_key, payout_id, correction_id) = 1
           and (kind = 'RESOLVED') = (payout_id is not null)
           and (kind = 'CORRECTED') = (correction_id is not null));

-- The audit of a correction that no operator has asked for. Call it after lock_control_exclusive,
-- which comes before any row is locked.
create function audit_correction(p_id bigint) returns bigint language sql as $$
    select append_control_change(
        'confirm', 'engine', 'correct', 'lot',
        c.follower_proxy || '/' || c.asset_id || '/' || c.origin,
        jsonb_build_object('shares_micros', c.shares_micros + c.size_micros,
                           'cost_micros', c.left_micros + c.cost_micros),
        jsonb_build_object('shares_micros', c.shares_micros, 'cost_micros', c.left_micros,
                           'held_micros', c.held_micros, 'reason', c.reason, 'correction', c.id))
    from lot_correction c where c.id = p_id and c.reason = 'SOLD_ELSEWHERE'
$$;
