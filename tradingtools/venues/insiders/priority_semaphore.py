"""Room for a number of exchanges at a time, in which exits come before all others.

Some places are kept for the urgent, and they have the next one of all. Before it: whoever wants to
ask. After it: `connections`, which finds or makes a connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PrioritySemaphore:
    """Places, some of them taken.

    Args:
        places: in all.
        kept: of them, for the urgent alone.
    """

    def __init__(self, places: int, kept: int) -> None:
        self._free = places
        self._retained = kept
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    def take(self, *, urgent: bool) -> bool:
        """Take a place if one is free; then nobody who would have it waits."""
        if self._free <= (0 if urgent else self._retained):
            return False
        self._free -= 1
        return True

    def leave(self) -> None:
        """Give one back: the next one has it, the urgent first, in the order of their coming."""
        self._free += 1
        for waiting, urgent in ((self._urgent, True), (self._others, False)):
            while waiting:
                if waiting[0].done():
                    waiting.popleft()  # It waits no more.
                elif self.take(urgent=urgent):
                    waiting.popleft().set_result(None)
                else:
                    break

    @asynccontextmanager
    async def one(self, *, urgent: bool) -> AsyncIterator[None]:
        """Have a place within this block; waits for one."""
        if not self.take(urgent=urgent):
            given = asyncio.get_running_loop().create_future()
            (self._urgent if urgent else self._others).append(given)
            try:
                await given
            except asyncio.CancelledError:
                if not given.cancelled():
                    self.leave()  # Given in the moment in which it was given up.
                raise
        try:
            yield
        finally:
            self.leave()
