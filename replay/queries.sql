-- name: payloads
select record_key, payload from journal where record_key = any(%(keys)s)

-- name: keys
-- The day's claims of the router.
select record_key from journal
where kind = 'CLAIMED' and role = 'router'
  and committed_at >= %(since)s and committed_at < %(until)s
order by seq
