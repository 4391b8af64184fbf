"""Read what the journal says of recorded judgements, and what it has besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
RESYNC = "resync:"


class Journal:
    """The router's records in the journal.

    Args:
        connection: to the deciding database, of a role that may read the journal.
    """

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def payloads(self, record_keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return what these records say, by key; one that is not there was never committed."""
        rows = self._connection.execute(_QUERIES["payloads"], {"keys": list(record_keys)})
        return {key: msgspec.json.decode(payload) for key, payload in rows}

    def keys(self, day: date) -> list[str]:
        """Return the keys of all that was committed on a day."""
        since = datetime.combine(day, time.min, UTC)
        values = {"since": since, "until": since + timedelta(days=1)}
        return [key for (key,) in self._connection.execute(_QUERIES["keys"], values)]


@contextmanager
def opened(url: str) -> Iterator[Journal]:
    """Open the journal for reading. Raises psycopg.OperationalError: it cannot be reached."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = on")
        yield Journal(connection)
