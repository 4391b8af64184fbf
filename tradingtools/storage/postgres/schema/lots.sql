-- Lots, and what moves them: fills, payouts, corrections. Bookings tell of each movement.

-- Shares of one wallet, asset and origin. Kept by (notional, size), never by an average price.
create table lot (
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    condition_id   text not null,
    shares_micros  bigint not null default 0 check (shares_micros >= 0),
    cost_micros    bigint not null default 0 check (cost_micros >= 0),
    bought_size_micros     bigint not null default 0,
    bought_notional_micros bigint not null default 0,
    sold_size_micros       bigint not null default 0,
    sold_notional_micros   bigint not null default 0,
    fee_micros             bigint not null default 0,
    realised_micros        bigint not null default 0,
    updated_at     timestamptz not null default clock_timestamp(),
    resolved_size_micros   bigint not null default 0,
    payout_micros          bigint not null default 0,
    -- Shares that a caller has reported, net of what was taken back; no order of ours bought them.
    by_hand_micros         bigint not null default 0,
    -- What those of them had cost that were adopted; part of what was bought for.
    by_hand_cost_micros    bigint not null default 0,
    -- What corrections have taken and not given back, and what it had cost: nobody knows what it was
    -- sold for, so that it is no profit and no loss.
    elsewhere_micros       bigint not null default 0 check (elsewhere_micros >= 0),
    elsewhere_cost_micros  bigint not null default 0 check (elsewhere_cost_micros >= 0),
    primary key (follower_proxy, asset_id, origin)
);
create index lot_held on lot (asset_id) where shares_micros > 0;
-- Positions and profit by subscription: its lots are asked for by their origin.
create index lot_origin on lot (origin, condition_id, asset_id);
create index lot_held_by on lot (origin) where shares_micros > 0;

-- What a lot was bought for, oldest first: sells consume it first in, first out.
create table lot_entry (
    entry_seq      bigint generated always as identity primary key,
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    -- Null: a caller has reported the shares.
    order_key      text references orders,
    trade_id       text not null,
    size_micros    bigint not null check (size_micros >= 0),
    cost_micros    bigint not null check (cost_micros >= 0),
    foreign key (follower_proxy, asset_id, origin) references lot
);
create index lot_entry_lot on lot_entry (follower_proxy, asset_id, origin, entry_seq)
    where size_micros > 0;

-- The venue's trades of our orders.
create table fill (
    order_key       text not null references orders,
    trade_id        text not null,
    status          text not null check (status in ('MATCHED', 'CONFIRMED', 'FAILED')),
    size_micros     bigint not null check (size_micros > 0),
    notional_micros bigint not null check (notional_micros >= 0),
    fee_micros      bigint not null check (fee_micros >= 0),
    -- Sells: what the shares had cost, first in, first out.
    cost_micros     bigint not null default 0 check (cost_micros >= 0),
    matched_at      timestamptz not null default clock_timestamp(),
    final_at        timestamptz,
    subscription_id text,
    primary key (order_key, trade_id)
);
-- A page of fills, newest first, without reading all there are.
create index fill_subscription on fill
    (subscription_id, matched_at desc, order_key desc, trade_id desc);

-- One resolved market's shares of one wallet turned into cash: the request is durable before it
-- leaves, and is the same for ever. A later round is for shares that came in after the one before.
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
    attempts           integer not null default 0,
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
    -- Null: a correction. Else shares are adopted that the wallet holds, and had cost this; with no
    -- shares what is left of those leaves the lot.
    cost_micros    bigint check (cost_micros >= 0),
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

-- Shares that left a lot without an order of ours: sold by hand at insiders-api, or found out by an
-- operator.
create table lot_correction (
    id             bigint generated always as identity primary key,
    follower_proxy text not null,
    asset_id       text not null,
    origin         text not null,
    condition_id   text not null,
    reason         text not null check (reason in ('SOLD_ELSEWHERE', 'OPERATOR', 'ADOPTED')),
    -- By how much the lot holds less; below zero: more.
    size_micros    bigint not null check (size_micros <> 0),
    cost_micros    bigint not null,
    -- What it holds, and what that has cost, from then on.
    shares_micros  bigint not null check (shares_micros >= 0),
    left_micros    bigint not null check (left_micros >= 0),
    -- What insiders-api reported that the wallet holds; null: an operator has decided.
    held_micros    bigint,
    lot_request_id bigint unique references lot_request,
    corrected_at   timestamptz not null default clock_timestamp(),
    foreign key (follower_proxy, asset_id, origin) references lot,
    check ((reason <> 'SOLD_ELSEWHERE') = (lot_request_id is not null)),
    check ((reason = 'SOLD_ELSEWHERE') = (held_micros is not null)),
    check (reason <> 'SOLD_ELSEWHERE' or size_micros > 0)
);
create index lot_correction_origin on lot_correction (origin, asset_id);

-- Bookings in the order in which they happened: what StreamFills carries. Each is about an order, a
-- payout, or a correction.
create table booking (
    fill_seq        bigint primary key default log_number(),
    kind            text not null check (kind in
                        ('MATCHED', 'CONFIRMED', 'UNDONE', 'CLOSED', 'RESOLVED', 'CORRECTED')),
    order_key       text references orders,
    trade_id        text not null,
    size_micros     bigint not null,
    notional_micros bigint not null,
    fee_micros      bigint not null,
    realised_micros bigint not null,
    order_state     text not null,
    reason          text not null default '',
    order_filled_micros bigint not null,
    lot_shares_micros bigint not null,
    lot_cost_micros bigint not null,
    booked_at       timestamptz not null default clock_timestamp(),
    payout_id       bigint unique references payout,
    correction_id   bigint unique references lot_correction,
    constraint booking_subject_check
        check (num_nonnulls(order_key, payout_id, correction_id) = 1
               and (kind = 'RESOLVED') = (payout_id is not null)
               and (kind = 'CORRECTED') = (correction_id is not null))
);
create unique index booking_once on booking (order_key, kind, trade_id);

-- What insiders-api said last of followers' wallets, moved by what was booked since.
create table follower_balance (
    follower_proxy text primary key,
    -- USDC 1e-6, negative only when a sale was undone whose proceeds were spent; null: unknown.
    cash_micros    bigint,
    -- Rises with each booking of the wallet: what was asked before one is not an answer after it.
    moves          bigint not null default 0,
    -- The moves that `follower_position` knows of.
    polled_moves   bigint,
    polled_at      timestamptz,
    changed_at     timestamptz not null default clock_timestamp(),
    check (num_nulls(polled_moves, polled_at) in (0, 2))
);
create index follower_balance_changed on follower_balance (changed_at);

-- Shares as insiders-api reported at `polled_at`, whoever bought them.
create table follower_position (
    follower_proxy text not null references follower_balance,
    asset_id       text not null,
    condition_id   text not null,
    shares_micros  bigint not null check (shares_micros <> 0),
    primary key (follower_proxy, asset_id)
);

-- Whether confirm may book, until the transaction ends; asked before the first number is taken. Readers
-- of bookings go on after the last number that they have seen: of a smaller one that is committed after
-- a larger one, by a backend whose client has given up, nobody would ever hear.
create function may_book(p_epoch bigint) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock(7305003);
    return holds_lease('confirm', 0, p_epoch);
end $$;

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
