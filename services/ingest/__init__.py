"""Find what leaders trade, and stream it to the routers.

Reads: Polymarket's activity feed over two sockets, the Data API (on start, after gaps, every few
minutes), and from PostgreSQL who is followed and up to when each leader's trades are known.
Writes: the log of leader trades in Redis, behind the stream and never before it; samples of
refused frames and readers' acknowledgements in PostgreSQL.
May repeat: any fact. A fact says "at least so many equal rows"; telling it twice changes nothing.
May lose: what the Data API does not show either, and facts in flight at a kill, until the
catch-up of the next start has found them again.
"""
