-- name: pending
-- The one change of a wallet's sets that has not ended.
select id, bot_id, action, instrument_id, complement_id, size, nonce, sent,
       (extract(epoch from deadline) * 1000)::bigint as deadline_ms
from outcome_set_change where wallet_id = %(wallet)s and state = 'PENDING'

-- name: begin
insert into outcome_set_change (id, wallet_id, bot_id, action, instrument_id, complement_id, size,
                                nonce, deadline)
values (%(id)s, %(wallet)s, %(bot)s, %(action)s, %(instrument)s, %(complement)s, %(size)s, %(nonce)s,
        to_timestamp(%(deadline_ms)s / 1000.0))

-- name: failed
-- What could not be changed lately, so that it is not tried again and again.
select instrument_id from outcome_set_change
where wallet_id = %(wallet)s and action = %(action)s and state = 'FAILED'
  and ended_at > clock_timestamp() - %(seconds)s * interval '1 second'

-- name: sent
update outcome_set_change set sent = sent + 1 where id = %(id)s and state = 'PENDING'

-- name: end
update outcome_set_change set state = %(state)s, detail = %(detail)s, ended_at = clock_timestamp()
where id = %(id)s and state = 'PENDING'

-- name: is_booked
select exists (select from bot_fill where venue = %(venue)s and order_id = %(order_id)s
               and trade_id = %(trade)s) as booked
