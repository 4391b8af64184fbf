-- People who log in: their roles, passwords, sessions, and what was done.

create table users (
    id         text primary key check (id ~ '^usr_[0-9a-f]{32}$'),
    name       text not null unique check (name ~ '^[a-z0-9][a-z0-9.-]{0,29}$'),
    role       text not null check (role in ('admin', 'operator', 'viewer')),
    -- Of an operator; none is none.
    exchanges  text[] not null default '{}' check (exchanges <@ array['okx', 'polymarket']),
    disabled   boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    changed_at timestamptz not null default clock_timestamp(),
    -- SHA-256 of the request that made him.
    request_hash bytea not null,
    check (role = 'operator' or exchanges = '{}')
);
create index users_created on users (created_at, id);

create table user_password (
    user_id   text primary key references users,
    -- Argon2id, in its own text form.
    hash      text not null,
    -- A one-time password: until then a login with it names the one that takes its place.
    one_time_until timestamptz
);

-- From a login to a logout. Its refresh tokens are one family: each but the newest was used.
create table login_session (
    id         text primary key check (id ~ '^ses_[0-9a-f]{32}$'),
    user_id    text not null references users,
    -- Of the login; a network of it is known to be its user's.
    address    text not null,
    network    text not null,
    client     text not null,
    created_at timestamptz not null default clock_timestamp(),
    used_at    timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    ended_at   timestamptz
);
create index login_session_user on login_session (user_id, created_at);
create index login_session_expires on login_session (expires_at);

create table refresh_token (
    -- SHA-256 of its text.
    digest     bytea primary key,
    session_id text not null references login_session on delete cascade,
    created_at timestamptz not null default clock_timestamp(),
    used_at    timestamptz
);
create index refresh_token_session on refresh_token (session_id);

-- What people did to get in, and what was done to them.
create table user_event (
    id          bigint generated always as identity primary key,
    -- Null: a login under a name that nobody has.
    user_id     text references users,
    what        text not null check (what in
                    ('created', 'changed', 'password_reset', 'password_changed', 'logged_in',
                     'login_failed', 'refresh_reused', 'logged_out', 'session_ended')),
    -- Who did it, as the audit names callers.
    actor       text not null,
    address     text not null,
    detail      text not null default '',
    occurred_at timestamptz not null default clock_timestamp()
);
create index user_event_user on user_event (user_id, id);
create trigger user_event_append_only
    before update or delete or truncate on user_event
    for each statement execute function refuse_to_change_audit();
