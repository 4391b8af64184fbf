"""Events of a market on their way to one reader, who may be slower than they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from tradingtools.venues.trading import MarketEvent, TradingBook


class Mailbox:
    """Keeps every event, but of each book the newest alone."""

    def __init__(self) -> None:
        self._events: deque[MarketEvent | str] = deque()
        """A book stands here by the id of its instrument."""
        self._books: dict[str, TradingBook] = {}
        self._there = asyncio.Event()
        self._closed = False

    def close(self) -> None:
        """Have `all` end behind what is there: nothing comes any more."""
        self._closed = True
        self._there.set()

    async def all(self) -> AsyncIterator[MarketEvent]:
        """Yield each event, until it is closed."""
        while True:
            while self._events:
                yield self._next()
            if self._closed:
                return
            self._there.clear()
            await self._there.wait()

    def put(self, event: MarketEvent) -> None:
        """Add an event, or put a book in the place of the one that waits."""
        if isinstance(event, TradingBook):
            if event.instrument_id not in self._books:
                self._events.append(event.instrument_id)
            self._books[event.instrument_id] = event
        else:
            self._events.append(event)
        self._there.set()

    async def get(self) -> MarketEvent:
        """Return the next event, when there is one."""
        while not self._events:
            self._there.clear()
            await self._there.wait()
        return self._next()

    def _next(self) -> MarketEvent:
        first = self._events.popleft()
        return self._books.pop(first) if isinstance(first, str) else first
