-- Decisions about leaders' trades, one per trade and subscription, and resyncs.

create table decision (
    leader_tx              text not null,
    leader                 text not null,
    asset_id               text not null,
    side                   text not null check (side in ('BUY', 'SELL')),
    subscription_id        text not null,
    condition_id           text not null,
    follower_proxy         text not null,
    copied                 boolean not null,
    reason                 text not null,
    detail                 text not null,
    leader_size_micros     bigint not null,
    leader_notional_micros numeric(38, 0) not null,
    -- What part 0 froze, and what was ordered so far; null while nothing was ordered.
    frozen                 jsonb,
    ordered_size_micros    bigint not null default 0,
    order_keys             text[] not null default '{}',
    journal_seq            bigint not null default 0,
    title                  text not null default '',
    decided_at             timestamptz not null default clock_timestamp(),
    updated_at             timestamptz not null default clock_timestamp(),
    primary key (leader_tx, leader, asset_id, side, subscription_id)
);
create index decision_subscription on decision (subscription_id, decided_at desc);
create index decision_reason on decision (subscription_id, reason, decided_at desc);
-- The few decisions that left money to others, moved something on paper, wait for an order, or wait
-- for the leader's next sell: found on start.
create index decision_accrued on decision (subscription_id) where frozen ? 'accrued_micros';
create index decision_paper on decision (subscription_id) where frozen ? 'paper_size_micros';
create index decision_awaited on decision (subscription_id) where frozen ? 'awaited';
create index decision_small on decision (subscription_id) where frozen ? 'small_micros';
-- A router that catches up reads what is not done by indexes.
create index decision_updated on decision using brin (updated_at) with (pages_per_range = 16);
create index decision_exit_reason on decision (reason) where side = 'SELL' and reason <> '';

-- What would bring a lot to what the leader's position implies, first shown, then claimed.
create table resync (
    id              text primary key check (id ~ '^rsy_[0-9a-f]{32}$'),
    subscription_id text not null references subscription,
    follower_proxy  text not null,
    -- START: made with the subscription and executed by itself.
    kind            text not null check (kind in ('ASKED', 'START')),
    state           text not null
        check (state in ('REQUESTED', 'PREVIEWED', 'EXECUTING', 'EXECUTED', 'STALE')),
    version         bigint not null default 1 check (version > 0),
    -- Of the subscription, that the lines were sized under.
    subscription_version bigint,
    -- What is to be done, in order, a line an outcome; outcomes beyond the bound are counted.
    lines           jsonb not null default '[]',
    omitted         integer not null default 0 check (omitted >= 0),
    -- When the leader's holdings were reported that the lines are about.
    leader_told_at  timestamptz,
    -- Why it is stale.
    detail          text not null default '',
    requested_at    timestamptz not null default clock_timestamp(),
    previewed_at    timestamptz,
    ended_at        timestamptz,
    check ((state in ('REQUESTED', 'STALE')) or previewed_at is not null)
);
create index resync_open on resync (requested_at) where state in ('REQUESTED', 'EXECUTING');
create index resync_subscription on resync (subscription_id, requested_at desc, id desc);

-- Fail those of these entries that are still CLAIMED. Provably nothing of them was sent: no
-- SUBMITTING commit of the partition happens until this transaction ends, and afterwards it finds
-- them FAILED. What a record that was set aside names may have been sent, and stays.
create function leader_left(p_partition integer, p_keys text[])
returns table (order_key text) language plpgsql as $$
begin
    perform lock_submitting(p_partition);
    perform build_rows(j.seq)
    from (select seq from journal
          where partition = p_partition and rows_built_at is null and set_aside is null
          order by seq) j;
    return query
    select t.order_key from apply_transitions((
        select coalesce(jsonb_agg(jsonb_build_object(
            'order_key', o.order_key, 'from_state', 'CLAIMED', 'to_state', 'FAILED',
            'expected_epoch', o.epoch, 'failed_kind', 'UNSENT', 'reason', 'LEADER_LEFT')),
            '[]'::jsonb)
        from orders o
        where o.order_key = any(p_keys) and o.state = 'CLAIMED' and o.purpose = 'ENTRY'
          and not exists (
              select 1 from journal j
              where j.set_aside is not null and o.order_key = any(j.aside_keys))
    )) t;
end $$;

-- One step; micros of shares. ENTRY: ordered. LEADER_SELL: sold by the leader, who held p_before
-- (null: unknown); the same part of what would be held goes, all of it when that is unknown or the
-- subscription leaves with the first sell, as the router does. OWN_SALE: filled, of a trigger: the
-- follower's own decision, whatever came of the copies. RESYNC: what the lot was to hold after it.
-- RESOLVED: nothing is left.
create function ideal_shares_after(
    p_held bigint, p_kind text, p_size bigint, p_before bigint, p_everything boolean
) returns bigint language plpgsql immutable as $$
begin
    return case p_kind
        when 'ENTRY' then p_held + p_size
        when 'LEADER_SELL' then
            case when p_everything or coalesce(p_before, 0) = 0 or p_size >= p_before then 0
                 else p_held - div(p_held::numeric * p_size, p_before)::bigint end
        when 'OWN_SALE' then greatest(0, p_held - p_size)
        when 'RESYNC' then p_size
        when 'RESOLVED' then 0
    end;
end $$;

create aggregate ideal_shares(text, bigint, bigint, boolean)
    (sfunc = ideal_shares_after, stype = bigint, initcond = '0');
