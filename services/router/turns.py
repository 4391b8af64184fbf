"""Whose turn it is to claim: a crowd's part ends early when somebody with little to claim waits.

Before it: the worker's lock, under which one claim is planned and committed at a time. After it:
`claiming`, which plans a part in pieces, between which messages are read and sent. What a part has
come to is decided once: the same claim again, after a commit that was not acknowledged, is of the
same followers and has the same name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.router.core.records import Part

PIECE = 10
"""Followers planned in one turn of the event loop: about a millisecond where the code is cold."""
FEWEST = 2 * PIECE
"""Followers of a part at least, unless there are no more: so many a commit has to be worth."""


class Turns:
    """The lock of one partition's claims, and whether somebody waits for it who is soon done.

    Args:
        lock: given to whoever has waited the longest.
    """

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._waiting = 0

    @asynccontextmanager
    async def taken(self, *, brief: bool) -> AsyncIterator[None]:
        """Hold the lock for the length of the block; a crowd's part stands back for the brief."""
        self._waiting += brief
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= brief
        try:
            yield
        finally:
            self._lock.release()

    def awaited(self) -> bool:
        """Whether somebody waits who is soon done."""
        return self._waiting > 0


class Share:
    """The part of a crowd that is claimed now.

    Args:
        part: as many as may be claimed together.
        hurried: whether somebody waits who is soon done.
    """

    def __init__(self, part: Part, hurried: Callable[[], bool]) -> None:
        self.part = part
        self._hurried = hurried
        self._decided = False

    async def pieces(self) -> AsyncIterator[tuple[str, ...]]:
        """Subscriptions to be planned together; afterwards ``part`` is what was yielded."""
        done = 0
        while done < len(self.part.ids):
            if done:
                await asyncio.sleep(0)
                if done >= FEWEST and not self._decided and self._hurried():
                    self.part = Part(ids=self.part.ids[:done], last=False)
                    break
            yield self.part.ids[done : done + PIECE]
            done += PIECE
        self._decided = True
