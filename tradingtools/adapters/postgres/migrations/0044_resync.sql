-- Resyncs: what would bring a lot to what the leader's position implies, first shown, then claimed.
-- depends: 0043_follower_balances

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
    -- When the leader's holdings were told that the lines are about.
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
