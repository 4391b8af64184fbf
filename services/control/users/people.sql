-- name: person
select u.name, u.role, array_to_string(u.exchanges, ',') as exchanges
from login_session s join users u on u.id = s.user_id
where s.id = %(id)s and s.ended_at is null and s.expires_at > clock_timestamp() and not u.disabled;
