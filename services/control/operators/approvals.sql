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
