"""Keeps the sums of subscriptions: what others have booked is added to them, again and again.

Whoever books writes by how much the sums change, in rows of their own; a read takes the sums and
those rows, so it is exact at any time, and quick as long as there are few of them
([decision](../../../docs/adr/0033-kept-statistics.md)).

Before it: triggers of orders, decisions and lots. After it: `sums`.
"""

from __future__ import annotations

import asyncio
from typing import LiteralString

import structlog

from services.control.store import Store, queries
from tradingtools.domain.errors import Unavailable

_SQL = queries("statistics/queries")
_log = structlog.get_logger("control.statistics")
_PAUSE_SECONDS = 0.25
"""Reads between a booking and its fold add it up by themselves, which takes as long as the rest."""
_AT_ONCE = 2_000
"""Rows of each kind: a statement of some 20 ms."""


async def keep(store: Store, fold: LiteralString = _SQL["fold"]) -> None:
    """Fold for ever; a database that is away finds it waiting.

    Args:
        store: of the sums.
        fold: the statement that adds so many rows at most, and says how many it has added.
    """
    while True:
        folded = 0
        try:
            (row,) = await store.rows(fold, limit=_AT_ONCE)
            folded = row["folded"]
        except Unavailable:
            pass
        except Exception as error:  # noqa: BLE001 - reads are exact without it, only slower
            _log.error("sums not kept; reads grow slower", exc_info=error)
        if folded < _AT_ONCE:
            await asyncio.sleep(_PAUSE_SECONDS)
