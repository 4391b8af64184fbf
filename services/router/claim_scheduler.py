"""Decide who claims next: a fan-out gives way when a small claim waits.

One claim of a partition is planned and committed at a time, under the worker's lock. `claimer`
plans a part of a fan-out in chunks, and messages are read and sent between two chunks. A part that
has hardly begun is dropped and planned again after the small claims; a later one ends with the
followers that it has. This is decided once a part: a retry after an unacknowledged commit is about
the same followers and has the same record key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

from services.router.core.records import Part
from tradingtools.domain.leader_trade import LeaderTrade

CHUNK = 10
"""Followers planned in one turn of the event loop: about a millisecond where the code is cold."""
MIN_PART = 2 * CHUNK
"""Followers of a part at least, unless there are no more: so many a commit has to be worth."""
MAX_DROPPED = 5 * CHUNK
"""Followers whose plan is dropped at most: a commit takes no longer than planning them again."""


def group_trades(
    trades: Iterable[LeaderTrade], copies: Callable[[LeaderTrade], int | None], most: int
) -> Iterator[tuple[LeaderTrade, ...]]:
    """Divide trades, in their order, into those that are claimed together.

    Args:
        trades: of which several may have come at once.
        copies: of a trade; None: it is claimed by itself.
        most: copies that are claimed together at most.
    """
    together: list[LeaderTrade] = []
    count = 0
    for trade in trades:
        more = copies(trade)
        same = together and together[0].key.leader == trade.key.leader
        if more is None or not same or count + more > most:
            if together:
                yield tuple(together)
            together, count = [], 0
        if more is None:
            yield (trade,)
        else:
            together.append(trade)
            count += more
    if together:
        yield tuple(together)


class ClaimScheduler:
    """The lock of one partition's claims, and whether somebody waits for it who is soon done.

    Args:
        lock: given to whoever has waited the longest.
    """

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, *, brief: bool) -> AsyncIterator[None]:
        """Hold the lock for the length of the block; a part of a fan-out gives way to the brief."""
        self._waiting += brief
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= brief
        try:
            yield
        finally:
            self._lock.release()

    def brief_waiting(self) -> bool:
        """Return whether a small claim waits for its turn."""
        return self._waiting > 0


class PartProgress:
    """The progress of one part of a fan-out.

    Args:
        part: as many as may be claimed together.
        should_yield: whether somebody waits who is soon done.
        droppable: whether it may be dropped for them, instead of ending early.
    """

    def __init__(self, part: Part, should_yield: Callable[[], bool], *, droppable: bool) -> None:
        self.part = part
        self._should_yield = should_yield
        self._droppable = droppable
        self._decided = False

    async def chunks(self) -> AsyncIterator[tuple[str, ...]]:
        """Yield subscriptions to be planned together.

        Afterwards ``part`` is who is to be claimed: what was yielded, or nobody.
        """
        done = 0
        while done < len(self.part.ids):
            if done:
                await asyncio.sleep(0)
                if not self._decided and self._should_yield() and self._end(done):
                    break
            yield self.part.ids[done : done + CHUNK]
            done += CHUNK
        self._decided = True

    def _end(self, done: int) -> bool:
        if self._droppable and done <= MAX_DROPPED:
            self.part = Part(ids=(), last=False)
        elif done >= MIN_PART:
            self.part = Part(ids=self.part.ids[:done], last=False)
        else:
            return False
        return True
