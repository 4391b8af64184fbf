-- The log of events, made from the tables of the other files (docs/adr/0052-event-log.md).

create table event (
    number          bigint primary key check (number > 0),
    -- The number of the row that it was made of, and which one of that row's events it is.
    log_number      bigint not null,
    part            smallint not null,
    type            text not null,
    subject         text not null,
    occurred_at     timestamptz not null,
    follower_proxy  text not null,
    subscription_id text not null,
    traceparent     text not null,
    -- JSON, as every reader gets it.
    data            text not null,
    unique (log_number, part)
);
create index event_follower on event (follower_proxy, number) where follower_proxy <> '';
-- bots/<id>, with its orders.
create index event_bot on event (left(subject, 17), number) where subject like 'bots/%';
create index event_subscription on event (subscription_id, number) where subscription_id <> '';

-- Up to which number of a row the log is made.
create table event_log_position (
    only_one   boolean primary key default true check (only_one),
    log_number bigint not null,
    number     bigint not null
);
insert into event_log_position (log_number, number) values (0, 0);
