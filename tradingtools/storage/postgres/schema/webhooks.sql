-- Webhooks: endpoints, what they have been sent, and what has become of them.

create table webhook_endpoint (
    id              text primary key,
    url             text not null,
    -- Patterns as they were given; empty: all types.
    types           text[] not null,
    description     text not null,
    ordering        text not null check (ordering in ('LOG', 'NONE')),
    enabled         boolean not null default true,
    disabled_reason text not null default '',
    created_at      timestamptz not null default clock_timestamp(),
    -- SHA-256 of caller and Idempotency-Key, and of what was asked under it.
    request_key     bytea unique,
    request_hash    bytea
);

-- Nobody but the process of webhooks reads it (rights.py).
create table webhook_secret (
    endpoint_id text not null references webhook_endpoint on delete cascade,
    secret      text not null,
    made_at     timestamptz not null default clock_timestamp(),
    -- Messages are signed with it until then; null: it is the newest.
    until       timestamptz,
    primary key (endpoint_id, secret)
);

-- Where the delivery to an endpoint stands.
create table webhook_lane (
    endpoint_id   text primary key references webhook_endpoint on delete cascade,
    -- Every event up to this number is delivered, was not wanted, or is among the pending ones.
    position      bigint not null,
    -- JSON: events that were not taken yet, and ranges that are delivered again.
    pending       text not null,
    replays       text not null,
    failing_since timestamptz
);

create table webhook_delivery (
    id          bigint generated always as identity primary key,
    endpoint_id text not null references webhook_endpoint on delete cascade,
    event_id    text not null,
    event_type  text not null,
    number      bigint not null,
    attempt     integer not null,
    at          timestamptz not null,
    duration_ms integer not null,
    outcome     text not null check (outcome in ('delivered', 'failed', 'given_up', 'gone')),
    status      integer not null,
    answer      text not null
);
create index webhook_delivery_endpoint on webhook_delivery (endpoint_id, id);

-- What has been done to endpoints, by callers and by the process itself.
create table webhook_event (
    event_seq   bigint primary key default log_number(),
    endpoint_id text not null,
    action      text not null
                    check (action in ('created', 'changed', 'enabled', 'disabled', 'deleted')),
    url         text not null,
    actor       text not null,
    reason      text not null,
    occurred_at timestamptz not null default clock_timestamp()
);
create trigger webhook_event_append_only
    before update or delete or truncate on webhook_event
    for each statement execute function refuse_to_change_audit();
