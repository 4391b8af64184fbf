-- name: present
-- Asked for lately.
select asked_by, approved_by from approval
where kind = %(kind)s and digest = %(digest)s and asked_at > clock_timestamp() - interval '1 hour';

-- name: ask
insert into approval (kind, digest, asked_by) values (%(kind)s, %(digest)s, %(by)s)
on conflict (kind, digest) do update
    set asked_by = excluded.asked_by, asked_at = clock_timestamp(), approved_by = null;

-- name: approve
update approval set approved_by = %(by)s where kind = %(kind)s and digest = %(digest)s;

-- name: newcomer
-- A user whom somebody else made, changed or gave a password lately: that one may be behind both.
select exists (
    select from user_event e join users u on u.id = e.user_id
    where '@' || u.name = %(by)s and e.actor <> %(by)s
      and e.what in ('created', 'changed', 'password_reset')
      and e.occurred_at > clock_timestamp() - interval '24 hours'
) as newcomer;
