"""Read what the live view shows: counts and instants, straight from PostgreSQL, read only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from launcher.core.summary import INSTANTS, BotNumbers, Numbers, hops
from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).with_name("observe.sql"))


class Observer:
    """A read-only connection that is made again when it was lost."""

    def __init__(self, database_url: str, started_ms: int) -> None:
        self._url = database_url
        self._since = {"since": datetime.fromtimestamp(started_ms / 1000, UTC)}
        self._connection: psycopg.Connection[DictRow] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def numbers(self, newest: int = 5_000) -> Numbers:
        """Return the numbers now.

        Args:
            newest: orders whose times are looked at.

        Raises:
            psycopg.Error: the database is away for a moment.
        """
        totals = self._rows("totals")[0]
        orders: dict[str, int] = {}
        for row in self._rows("orders"):
            orders[row["state"]] = orders.get(row["state"], 0) + row["number"]
        triggers: dict[str, dict[str, int]] = {}
        for row in self._rows("triggers"):
            triggers.setdefault(row["trigger_type"], {})[row["status"]] = row["number"]
        return Numbers(
            **totals,
            **self._rows("profit")[0],
            orders=orders,
            triggers=triggers,
            skips=tuple((row["reason"], row["number"]) for row in self._rows("skips")),
            failures=tuple(
                (f"{row['failed_kind']} {row['reason']}".strip(), row["number"])
                for row in self._rows("failures")
            ),
            fired={
                row["trigger_type"]: (row["fired"], row["confirmed"]) for row in self._rows("fired")
            },
            alerts=tuple(row["title"] for row in self._rows("alerts")),
            bots=tuple(BotNumbers(**row) for row in self._rows("bots")),
            backlogs=tuple((row["role"], row["oldest_ms"]) for row in self._rows("backlogs")),
            hops=hops(
                [
                    {name: row[name] for name in INSTANTS}
                    for row in self._rows("latencies", newest=newest)
                ]
            ),
        )

    def open_orders(self) -> int:
        """Return how many orders are not at rest, journal records without rows included."""
        unbuilt = self._rows("totals")[0]["journal_unbuilt"]
        return int(self._rows("open_orders")[0]["number"]) + int(unbuilt)

    def decided(self) -> set[tuple[str, str, str, str, str]]:
        """Return which leader trades were decided for which subscription."""
        names = ("leader_tx", "leader", "asset_id", "side", "subscription_id")
        return {tuple(row[name] for name in names) for row in self._rows("decided")}

    def _rows(self, query: str, **more: int) -> list[dict[str, Any]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                row_factory=dict_row,
                autocommit=True,
                connect_timeout=2,
                application_name="tradingtools-launcher",
                options="-c default_transaction_read_only=on -c statement_timeout=5000",
            )
        try:
            return self._connection.execute(QUERIES[query], self._since | more).fetchall()
        except psycopg.OperationalError:
            self._connection.close()
            raise
