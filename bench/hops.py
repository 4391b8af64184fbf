"""Where the system's time went: medians of each hop, from the instants that every order carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench.core.figures import Hop
from tradingtools.adapters.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_NAMES = ("decide", "claim", "submit", "send")


def medians(database_url: str, leader: str, since_ns: int) -> tuple[Hop, ...]:
    """Of the orders of one leader since an instant; nothing when there are none.

    decide: frame received to plan made. claim: to the claim's commit. submit: to SUBMITTING's
    commit. send: to the first byte of the POST.
    """
    return _asked(database_url, "hops", {"leader": leader, "since_ns": since_ns})


def of_trades(database_url: str, transactions: Sequence[str]) -> tuple[Hop, ...]:
    """The same of the orders that some leader trades led to."""
    return _asked(database_url, "hops_of", {"transactions": list(transactions)})


def _asked(database_url: str, name: str, wanted: Mapping[str, Any]) -> tuple[Hop, ...]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(_QUERIES[name], wanted).fetchone()
    if row is None or row[0] is None:
        return ()
    return tuple(Hop(name, value / 1e6) for name, value in zip(_NAMES, row, strict=True))
