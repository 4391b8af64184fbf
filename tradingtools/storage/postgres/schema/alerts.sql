-- Who is called, about what, and what of it has left: kept by `services/alerts` alone.
-- (docs/adr/0056-alerts.md)

-- One thing that a rule watches and that has begun.
create table alert (
    rule      text not null,
    key       text not null,
    group_key text not null,
    state     text not null check (state in ('PENDING', 'FIRING', 'RESOLVED')),
    since_ms  bigint not null,
    last_ms   bigint not null,
    -- JSON: what texts are made of.
    facts     text not null,
    primary key (rule, key)
);

-- Alerts of a rule that share their messages.
create table alert_group (
    rule            text not null,
    key             text not null,
    firing          integer not null,
    pending          integer not null,
    pending_since_ms bigint not null,
    notified_ms         bigint,
    open            boolean not null,
    since_ms        bigint not null,
    total           integer not null,
    thread          text not null,
    primary key (rule, key)
);

create table alert_message (
    id       text primary key,
    seq      bigint generated always as identity unique,
    thread   text not null,
    rule     text not null,
    kind     text not null,
    severity text not null,
    title    text not null,
    body     text not null,
    at_ms    bigint not null,
    made_at  timestamptz not null default clock_timestamp()
);

-- A message on its way to one target. SENDING is durable before the first byte leaves: who finds it
-- after a crash says that it may have been reported before.
create table alert_delivery (
    message_id text not null references alert_message,
    target     text not null,
    state      text not null default 'DUE'
               check (state in ('DUE', 'SENDING', 'SENT', 'GIVEN_UP')),
    attempts   integer not null default 0,
    -- The last attempt may have arrived.
    perhaps    boolean not null default false,
    next_at    timestamptz not null default clock_timestamp(),
    ended_at   timestamptz,
    error      text not null default '',
    primary key (message_id, target)
);
create index alert_delivery_open on alert_delivery (target) where state in ('DUE', 'SENDING');
