-- What verifies and shows the audit, page by page; each page is one statement, so one snapshot.

-- name: changes
-- The audit after a number, with each entry's canonical text.
select seq, control_change_text(c) as text, previous_hash, hash from control_change c
where seq > %(after)s order by seq limit %(limit)s;

-- name: histories
-- Orders after a key with their events; one without events has a row without one.
select o.order_key, o.body_hash, o.journal_seq, o.state, o.epoch as order_epoch, o.chain_head,
       e.event_seq, e.from_state, e.to_state, e.reason, e.epoch, e.detail, e.hash,
       (extract(epoch from e.occurred_at) * 1000000)::bigint as occurred_us
from (select order_key, body_hash, journal_seq, state, epoch, chain_head from orders
      where order_key > %(after)s order by order_key limit %(limit)s) o
left join order_event e on e.order_key = o.order_key
order by o.order_key, e.event_seq;

-- name: seal
-- The first seal after a number, with what stands now where it saw the end of control's audit.
select s.*, (extract(epoch from s.sealed_at) * 1000000)::bigint as sealed_us,
       c.hash as standing_hash
from seal s left join control_change c on c.seq = s.control_seq
where s.seal_seq > %(after)s order by s.seal_seq limit 1;

-- name: sealed_events
select event_seq, order_key, from_state, to_state, reason, epoch, detail, hash,
       (extract(epoch from occurred_at) * 1000000)::bigint as occurred_us
from order_event where event_seq > %(after)s and event_seq <= %(to)s order by event_seq;

-- name: list
-- Newest first, before a number; an empty filter admits all.
select seq, changed_at, actor, source, action, subject_kind, subject_id, before::text as before,
       after::text as after, encode(hash, 'hex') as hash
from control_change
where seq < %(before_seq)s
  and (%(actor)s = '' or actor = %(actor)s)
  and (%(kind)s = '' or subject_kind = %(kind)s)
  and (%(subject)s = '' or subject_id = %(subject)s)
order by seq desc limit %(limit)s;
