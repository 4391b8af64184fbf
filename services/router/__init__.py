"""router: decides who copies a leader trade, how much, at what limit, and claims it.

Reads leader trades (ingest), marks (bookfeed), fills (confirm), subscriptions and lots
(PostgreSQL). Writes journal records: orders, reservations and decisions of one leader trade in one
commit, and only then streams the orders to the executor. May be repeated: a trade that was decided
is not decided again, whatever arrives twice. May lose: nothing; what was not committed is read
again from the cursor.
"""
