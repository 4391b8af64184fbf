"""router: decides who copies a leader trade, how much, at what limit, and claims it.

Reads leader trades (ingest), marks (bookfeed), fills (confirm), subscriptions and lots
(PostgreSQL). Writes journal records: orders, reservations and decisions of one leader trade in one
of them, committed before its orders are streamed to the executor. May be repeated: a trade that was
decided is not decided again, whatever arrives twice. May lose: nothing; what was not committed is
read again from the cursor.

A trade goes from `worker` (what has to be judged) through `claim_writer` (one claim at a time,
until it is committed; `claim_scheduler` says whose) to `claimer`, or with others of its moment to
`batch_claimer`. Both make a plan (`core`) and a record of it (`claim_records`), and apply it to the
router's state (`core/state_updates`).
"""
