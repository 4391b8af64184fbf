-- What processes keep of themselves: leases of partitions, cursors of streams, messages put aside.

-- Who may write for a partition of follower wallets. The epoch rises with each owner.
create table partition_lease (
    -- The process.
    role       text not null check (role ~ '^[a-z]+$'),
    partition  integer not null check (partition >= 0),
    owner      text not null,
    epoch      bigint not null check (epoch > 0),
    expires_at timestamptz not null,
    -- How long the oldest of what waits at the owner had waited at the last renewal.
    backlog_ms bigint not null default 0 check (backlog_ms >= 0),
    primary key (role, partition)
);

-- What a named reader of a stream has committed.
create table consumer_cursor (
    stream     text not null,
    consumer   text not null,
    cursor     text not null,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (stream, consumer)
);

-- Ids that tie the stores together.
create table store_identity (
    name  text primary key,
    value text not null
);

-- Samples of what was refused at the door, so that a person can look at it.
create table rejected_frame (
    id          bigint generated always as identity primary key,
    source      text not null,
    reason      text not null,
    sample      bytea not null check (octet_length(sample) <= 4096),
    bytes_total bigint not null,
    rejected_at timestamptz not null default clock_timestamp()
);

-- Messages that a reader could not handle, with the reason; the stream moved on without them.
create table dead_letter (
    id                  bigint primary key default log_number(),
    stream              text not null,
    consumer            text not null,
    cursor              text not null,
    reason              text not null,
    payload             bytea not null,
    quarantined_at      timestamptz not null default clock_timestamp(),
    replay_requested_at timestamptz,
    replayed_at         timestamptz
);
create index dead_letter_replay on dead_letter (consumer, stream)
    where replay_requested_at is not null and replayed_at is null;

-- Whether an owner may write; the row stays locked until its transaction ends, so that a takeover
-- waits for what the old owner is just committing, and then finds it. The epoch alone decides: when a
-- lease has run out it may be taken, and until then nobody else writes. An owner that could not renew
-- because the database was away goes on, with the answers that it has in memory.
create function holds_lease(p_role text, p_partition integer, p_epoch bigint)
returns boolean language plpgsql as $$
begin
    perform 1 from partition_lease
    where role = p_role and partition = p_partition and epoch = p_epoch
    for share;
    return found;
end $$;

-- For a transaction whose answers nobody reads before its commit. Raises no_data_found: the lease is
-- not held. Its row stays locked until the transaction ends, so that a takeover finds what it did.
create function as_owner(p_role text, p_partition integer, p_epoch bigint)
returns boolean language plpgsql as $$
begin
    if not holds_lease(p_role, p_partition, p_epoch) then
        raise no_data_found using message = format('%s %s is another''s by now', p_role, p_partition);
    end if;
    return true;
end $$;

-- For a statement that changes locked rows: raises where one of them was not as it was locked.
create function as_locked(p_asked text, p_changed text) returns boolean language plpgsql as $$
begin
    if p_changed is null then
        raise exception '% changed under its lock', p_asked;
    end if;
    return true;
end $$;

-- What processes say of themselves: a start, an end, and what they depend on.
create table process_event (
    event_seq   bigint primary key default log_number(),
    process     text not null,
    action      text not null check (action in ('started', 'stopped', 'degraded', 'recovered')),
    detail      text not null,
    occurred_at timestamptz not null default clock_timestamp()
);
create index process_event_process on process_event (process, event_seq);
create trigger process_event_append_only
    before update or delete or truncate on process_event
    for each statement execute function refuse_to_change_audit();
