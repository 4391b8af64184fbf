"""Messages of a stream side by side, those of one lane in turn, cursors in the stream's order.

Before it: whoever reads the stream and says what belongs to which lane. After it: `Intake`, which
handles each message, and the acknowledgement, which is only told what is handled without a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from google.protobuf.message import Message

from tradingtools.adapters.tasks import cancel_all
from tradingtools.runtime.intake import Intake

M = TypeVar("M", bound=Message)
MOST = 64
"""Messages of the stream under way at the same time; more are read when one is done."""


class Lanes(Generic[M]):
    """One reader's lanes.

    Args:
        intake: handles a message or quarantines it.
        acknowledge: told a cursor when everything up to it is handled.
    """

    def __init__(self, intake: Intake[M], acknowledge: Callable[[str], Awaitable[None]]) -> None:
        self._intake = intake
        self._acknowledge = acknowledge
        self._newest: dict[str, asyncio.Task[None]] = {}
        self._under_way: deque[tuple[str, list[asyncio.Task[None]]]] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Semaphore(MOST)

    async def put(self, pieces: Mapping[str, M], cursor: str) -> None:
        """Have the pieces of a message handled, each in its lane; waits for room only."""
        await self._room.acquire()
        tasks = []
        for lane, piece in pieces.items():
            before = self._newest.get(lane)
            task = asyncio.create_task(self._take(before, piece, cursor))
            self._newest[lane] = task
            task.add_done_callback(lambda done, lane=lane: self._leave(lane, done))  # type: ignore[misc]
            tasks.append(task)
        self._under_way.append((cursor, tasks))
        self._some.set()

    async def run(self) -> None:
        """Acknowledge for ever.

        Raises:
            Fenced: this process does not own its partition any more.
        """
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                while self._under_way:
                    await self._end_oldest()
        finally:
            await cancel_all([task for _, tasks in self._under_way for task in tasks])

    async def _end_oldest(self) -> None:
        cursor, tasks = self._under_way[0]
        await asyncio.gather(*tasks)
        self._under_way.popleft()
        self._room.release()
        if not (self._under_way and all(task.done() for task in self._under_way[0][1])):
            await self._acknowledge(cursor)

    async def _take(self, before: asyncio.Task[None] | None, piece: M, cursor: str) -> None:
        if before is not None:
            # Whatever became of it is raised where its cursor would be acknowledged.
            await asyncio.wait([before])
        await self._intake.take(piece, cursor)

    def _leave(self, lane: str, task: asyncio.Task[None]) -> None:
        if self._newest.get(lane) is task:
            del self._newest[lane]
