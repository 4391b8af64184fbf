"""Keeps the sums of subscriptions: what others have booked is added to them, again and again.

Whoever books writes by how much the sums change, in rows of their own; a read takes the sums and
those rows, so it is exact at any time, and quick as long as there are few of them
([decision](../../docs/adr/0031-kept-statistics.md)).

Before it: triggers of orders, decisions and lots. After it: `subscriptions` and `holdings`.
"""

from __future__ import annotations

import asyncio

from services.control.store import Store, queries
from tradingtools.domain.errors import Unavailable

_SQL = queries("statistics")
_PAUSE_SECONDS = 1.0
_AT_ONCE = 2_000
"""Rows of each kind: a statement of some 20 ms."""


async def keep(store: Store) -> None:
    """Fold for ever; a database that is away finds it waiting."""
    while True:
        try:
            (row,) = await store.rows(_SQL["fold"], limit=_AT_ONCE)
        except Unavailable:
            folded = 0
        else:
            folded = row["folded"]
        if folded < _AT_ONCE:
            await asyncio.sleep(_PAUSE_SECONDS)
