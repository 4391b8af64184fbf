-- Behind everything, so not in the in-memory PostgreSQL of the tests: nothing waits for a seal.

-- name: horizon
select to_seq, before_xid from seal_horizon()

-- name: is_settled
select is_settled(%(before_xid)s) as settled

-- name: sealed
-- Up to which event there are seals.
select coalesce(max(to_seq), 0) as to_seq from seal

-- name: append
select seal_seq, to_seq, cardinality(event_seqs) as events, encode(hash, 'hex') as hash
from append_seal(%(to_seq)s, %(limit)s)
