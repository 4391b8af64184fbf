"""bookfeed's marks in control's memory, for what positions are worth.

A stream and not a question for each answer: a page of two hundred subscriptions may hold a thousand
outcomes, and bookfeed streams those that are held anyway. What is silent for too long is stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from tradingtools.domain.book import Book
from tradingtools.rpc.transport import channel
from tradingtools.runtime.books import Books

_TIMEOUT_MS = 500


class Marks(Protocol):
    """The newest book of each asset that is held."""

    def known(self, asset_id: str) -> Book | None:
        """The asset's book if it is in memory."""

    async def keep(self) -> None:
        """Follow the marks for ever."""


class _NoMarks:
    def known(self, _asset_id: str) -> Book | None:
        return None

    async def keep(self) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def marks(target: str) -> AsyncIterator[Marks]:
    """Marks of a bookfeed at ``host:port``; empty: there are none."""
    if not target:
        yield _NoMarks()
        return
    bookfeed = channel(target)
    try:
        yield Books(bookfeed, timeout_ms=_TIMEOUT_MS)
    finally:
        await bookfeed.close()
