"""Links a guard's exit to the trades that bought what it sold: one span, once the exit has ended.

The guard fires on memory alone and knows no trade. Here nobody waits. An exit that ends while this
process is away, or whose log is made anew, gets no span: a trace is no evidence.

Before it: the log's writer, behind its commit. After it: the traces' collector.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.events.core.sources import Booked, Source
from services.events.store import QUERIES
from tradingtools import clock
from tradingtools.domain.order import Purpose
from tradingtools.runtime import telemetry
from tradingtools.storage.postgres.pool import Pool

_YOUNG_SECONDS = 600.0


def ended(rows: Sequence[Source]) -> list[str]:
    """Return the keys of the guard's exits of which these rows are the ends, if they are young."""
    oldest = clock.now_ms() / 1000 - _YOUNG_SECONDS
    return [
        row.order.order_key
        for row in rows
        if isinstance(row, Booked)
        and row.kind == "CLOSED"
        and row.order.purpose == Purpose.GUARD_EXIT
        and row.at.timestamp() >= oldest
    ]


async def trace(pool: Pool, order_keys: Sequence[str]) -> None:
    """Tell of exits as spans of their own traces, with links to those of the lot's entries."""
    async with pool.connection() as connection:
        cursor = await connection.execute(QUERIES["exits_traced"], {"keys": list(order_keys)})
        rows = await cursor.fetchall()
    for row in rows:
        telemetry.record_span(
            "guard.exit",
            row["traceparent"],
            row["received_ns"],
            max(row["ended_ns"], row["received_ns"]),
            links=row["entries"],
            order=row["order_key"],
            trigger=row["trigger_id"],
            state=row["state"],
        )
