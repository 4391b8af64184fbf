"""Publish what catch-up found behind live trades, a few at a time.

A live trade is published at once and finds no more than a few of these before it. What waits here
is lost with the process, and what leaders hold is not written before it is published: so the next
start looks as far back and finds it again. Before: `catch_up`. After: `publisher`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from services.ingest.core.backfill_queue import BackfillQueue
from services.ingest.core.merge import Fact
from services.ingest.publisher import Publisher
from tradingtools import clock

MAX = 20
"""Published and not acknowledged yet, about."""
_ALONE_SECONDS = 0.1
"""The pause between so many while no reader acknowledges any."""
_PATIENCE_SECONDS = 5.0
"""A reader that acknowledges nothing for so long does not hold up the others."""
_POLL_SECONDS = 0.05


class Backfill:
    """Hands facts to the publisher when it is their turn."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._line = BackfillQueue()
        self._out: deque[int] = deque()
        self._logged_at = float("-inf")
        self._work = asyncio.Event()

    def __contains__(self, leader: str) -> bool:
        """Return whether facts of a leader are yet to be published."""
        return leader in self._line

    def put(self, facts: Iterable[Fact]) -> None:
        """Tell facts when it is their turn: at once when nothing is before them."""
        self._line.put(facts)
        self._log_backlog()
        self._work.set()

    def drop(self, leader: str) -> None:
        """Forget a leader that nobody follows any more."""
        self._line.drop(leader)

    async def run(self) -> None:
        """Tell what waits, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._line:
                await asyncio.sleep(_POLL_SECONDS)
                self._log_backlog()

    def _log_backlog(self) -> None:
        facts = self._line.take(self._room())
        if not facts:
            return
        self._logged_at = clock.monotonic()
        self._publisher.publish(facts, clock.now_ns())
        self._out.extend([self._publisher.tail.last] * len(facts))

    def _room(self) -> int:
        read_to = self._publisher.read_to()
        while self._out and read_to is not None and self._out[0] <= read_to:
            self._out.popleft()
        patience = _ALONE_SECONDS if read_to is None else _PATIENCE_SECONDS
        if clock.monotonic() - self._logged_at >= patience:
            self._out.clear()
        return MAX - len(self._out)
