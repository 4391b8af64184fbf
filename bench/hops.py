"""Where the system's time went: medians of each hop, from the instants that every order carries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg

from bench.core.figures import Hop
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_NAMES = ("decide", "claim", "submit", "send")


def of_trades(database_url: str, transactions: Sequence[str]) -> tuple[Hop, ...]:
    """Of the orders that some leader trades led to; nothing when there are none.

    decide: frame received to plan made. claim: to the claim's commit. submit: to SUBMITTING's
    commit. send: to the first byte of the POST.
    """
    desired = {"transactions": list(transactions)}
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(_QUERIES["hops_of"], desired).fetchone()
    if row is None or row[0] is None:
        return ()
    return tuple(Hop(name, value / 1e6) for name, value in zip(_NAMES, row, strict=True))
