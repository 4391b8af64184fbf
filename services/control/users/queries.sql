-- name: login
-- Who has a name, his password, and whether he has logged in from a network.
select u.id, u.name, u.role, u.exchanges, u.disabled, p.hash,
       p.one_time_until is not null as one_time,
       coalesce(p.one_time_until < clock_timestamp(), false) as too_old,
       exists (select from login_session s where s.user_id = u.id and s.network = %(network)s)
           as usual
from users u join user_password p on p.user_id = u.id
where u.name = %(name)s;

-- name: lock
-- Logins, changes and resets of one user wait for each other: each sees the sessions of the one before.
select user_id from user_password where user_id = %(user)s for update;

-- name: forget
-- Sessions that nobody can use any more; those of late tell where a user usually is.
delete from login_session
where id in (select id from login_session
             where expires_at < clock_timestamp() - interval '90 days' limit 100)
returning id;

-- name: begin
-- A session of who has just shown his password; nothing when that has changed, or he is disabled.
with kept as (
    update user_password p
    set hash = coalesce(%(new_hash)s::text, p.hash),
        one_time_until = case when %(changes)s then null else p.one_time_until end
    from users u
    where u.id = p.user_id and u.id = %(user)s and not u.disabled and p.hash = %(hash)s
    returning u.id, u.name
), over as (
    update login_session s set ended_at = clock_timestamp()
    from kept where %(changes)s and s.user_id = kept.id and s.ended_at is null
    returning s.id
), made as (
    insert into login_session (id, user_id, address, network, client, expires_at)
    select %(session)s, id, %(address)s, %(network)s, %(client)s,
           clock_timestamp() + make_interval(secs => %(idle_s)s)
    from kept
    returning id, user_id, expires_at
), given as (
    insert into refresh_token (digest, session_id) select %(digest)s, id from made
), told as (
    insert into user_event (user_id, what, actor, address, detail)
    select kept.id, 'logged_in', '@' || kept.name, %(address)s, %(session)s from kept
    union all
    select kept.id, 'password_changed', '@' || kept.name, %(address)s, '' from kept where %(changes)s
)
select id, user_id, expires_at from made;

-- name: failed
insert into user_event (user_id, what, actor, address)
values (%(user)s, 'login_failed', 'public', %(address)s)
returning id;

-- name: given
-- A refresh token that was given to somebody, used or not.
select session_id from refresh_token where digest = %(digest)s;

-- name: refresh
-- The next tokens of a session: a refresh token is used by one request alone. Of two that come at
-- once, one waits for the other's row, and finds it used.
with used as (
    update refresh_token t set used_at = clock_timestamp()
    from login_session s join users u on u.id = s.user_id
    where t.digest = %(digest)s and t.used_at is null and s.id = t.session_id
      and s.ended_at is null and s.expires_at > clock_timestamp() and not u.disabled
    returning s.id, u.id as user_id, u.name, u.role, u.exchanges
), given as (
    insert into refresh_token (digest, session_id) select %(next)s, id from used
), moved as (
    update login_session s
    set used_at = clock_timestamp(),
        expires_at = least(clock_timestamp() + make_interval(secs => %(idle_s)s),
                           s.created_at + make_interval(secs => %(longest_s)s))
    from used where s.id = used.id
    returning s.id, s.expires_at
)
select used.id, used.user_id, used.name, used.role, used.exchanges, moved.expires_at
from used join moved using (id);

-- name: reused
-- End the session of a refresh token that has been used.
with over as (
    update login_session s set ended_at = clock_timestamp()
    from refresh_token t, users u
    where t.digest = %(digest)s and t.used_at is not null and s.id = t.session_id
      and s.ended_at is null and u.id = s.user_id
    returning s.id, s.user_id
), told as (
    insert into user_event (user_id, what, actor, address, detail)
    select user_id, 'refresh_reused', 'public', %(address)s, id from over
)
select id from over;

-- name: end
-- End a session; nothing when it is over, or another one's.
with over as (
    update login_session s set ended_at = clock_timestamp()
    from users u
    where s.id = %(id)s and s.ended_at is null and s.expires_at > clock_timestamp()
      and u.id = s.user_id and (%(any)s or '@' || u.name = %(actor)s)
    returning s.id, s.user_id
), told as (
    insert into user_event (user_id, what, actor, address, detail)
    select user_id, %(what)s, %(actor)s, %(address)s, id from over
)
select id from over;

-- name: sessions
select s.id, s.address, s.client, s.created_at, s.used_at, s.expires_at
from login_session s join users u on u.id = s.user_id
where s.ended_at is null and s.expires_at > clock_timestamp()
  and case when %(user)s::text = '' then '@' || u.name = %(actor)s else u.id = %(user)s end
order by s.created_at desc, s.id limit 200;

-- name: create
with made as (
    insert into users (id, name, role, exchanges, request_hash)
    select %(id)s, %(name)s, %(role)s, %(exchanges)s::text[], %(request_hash)s
    where not %(first)s or not exists (select from users where role = 'admin' and not disabled)
    on conflict do nothing
    returning id
), kept as (
    insert into user_password (user_id, hash, one_time_until)
    select id, %(hash)s, clock_timestamp() + make_interval(secs => %(one_time_s)s) from made
), told as (
    insert into user_event (user_id, what, actor, address, detail)
    select id, 'created', %(actor)s, %(address)s, %(detail)s from made
)
select id from made;

-- name: lock_admins
-- Whoever may take an admin away, or makes the first, waits for the one before.
select pg_advisory_xact_lock(7305021);

-- name: admins
select count(*) as others from users where role = 'admin' and not disabled and id <> %(id)s;

-- name: update
with moved as (
    update users
    set role = %(role)s, exchanges = %(exchanges)s::text[], disabled = %(disabled)s,
        changed_at = clock_timestamp()
    where id = %(id)s
    returning id, disabled
), over as (
    update login_session s set ended_at = clock_timestamp()
    from moved where s.user_id = moved.id and moved.disabled and s.ended_at is null
), told as (
    insert into user_event (user_id, what, actor, address, detail)
    select id, 'changed', %(actor)s, %(address)s, %(detail)s from moved
)
select id from moved;

-- name: reset
with moved as (
    update user_password
    set hash = %(hash)s, one_time_until = clock_timestamp() + make_interval(secs => %(one_time_s)s)
    where user_id = %(id)s
    returning user_id, one_time_until
), over as (
    update login_session s set ended_at = clock_timestamp()
    from moved where s.user_id = moved.user_id and s.ended_at is null
), told as (
    insert into user_event (user_id, what, actor, address)
    select user_id, 'password_reset', %(actor)s, %(address)s from moved
)
select one_time_until from moved;

-- name: one
select id, name, role, exchanges, disabled, created_at, changed_at from users where id = %(id)s;

-- name: created_by
select id, name, role, exchanges, disabled, created_at, changed_at, request_hash
from users where id = %(id)s;

-- name: named
select id from users where name = %(name)s;

-- name: page
select id, name, role, exchanges, disabled, created_at, changed_at from users
where %(at)s::timestamptz is null or (created_at, id) > (%(at)s, %(after)s::text)
order by created_at, id limit %(limit)s;

-- name: events
select id, coalesce(user_id, '') as user_id, what, actor, address, detail, occurred_at
from user_event
where (%(user)s::text = '' or user_id = %(user)s)
  and (%(before)s::bigint is null or id < %(before)s)
order by id desc limit %(limit)s;
