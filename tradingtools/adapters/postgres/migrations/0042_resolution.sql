-- What becomes of lots when their market resolves: the payout is booked, and the shares are redeemed
-- at insiders-api. Amounts are micros (1e-6) of USDC or shares.
-- depends: 0041_positions

alter table lot
    add column resolved_size_micros bigint not null default 0,
    add column payout_micros bigint not null default 0;

-- One market's shares of one wallet turned into cash: the request is durable before it leaves, and
-- is the same for ever. A later round is for shares that came in after the one before.
create table redemption (
    redeem_key         text primary key check (redeem_key ~ '^[0-9a-f]{64}$'),
    follower_proxy     text not null,
    condition_id       text not null,
    round              integer not null check (round >= 0),
    body               bytea not null,
    state              text not null
        check (state in ('REQUESTED', 'UNKNOWN', 'ACCEPTED', 'CONFIRMED')),
    -- The payouts that were booked with it.
    expected_micros    bigint not null check (expected_micros >= 0),
    -- What insiders-api says it paid; null: it has not said so.
    paid_micros        bigint check (paid_micros >= 0),
    asked              integer not null default 0,
    detail             text not null default '',
    next_at            timestamptz not null default clock_timestamp(),
    requested_at       timestamptz not null default clock_timestamp(),
    updated_at         timestamptz not null default clock_timestamp(),
    unique (follower_proxy, condition_id, round)
);
create index redemption_open on redemption (next_at) where state <> 'CONFIRMED';

-- What a lot was paid: in the same transaction it holds nothing any more.
create table payout (
    id             bigint generated always as identity primary key,
    redeem_key     text not null references redemption,
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    condition_id   text not null,
    size_micros    bigint not null check (size_micros > 0),
    cost_micros    bigint not null check (cost_micros >= 0),
    -- Of one share.
    share_micros   bigint not null check (share_micros between 0 and 1000000),
    paid_micros    bigint not null check (paid_micros >= 0),
    booked_at      timestamptz not null default clock_timestamp(),
    unique (redeem_key, asset_id, origin),
    foreign key (follower_proxy, asset_id, origin) references lot
);

-- A booking is about an order, or about a payout.
alter table booking alter column order_key drop not null;
alter table booking add column payout_id bigint unique references payout;
alter table booking drop constraint booking_kind_check;
alter table booking add constraint booking_kind_check
    check (kind in ('MATCHED', 'CONFIRMED', 'UNDONE', 'CLOSED', 'RESOLVED'));
alter table booking add constraint booking_subject_check
    check (num_nonnulls(order_key, payout_id) = 1 and (kind = 'RESOLVED') = (order_key is null));
