"""Messages of a stream side by side, those of one lane in turn, cursors in the stream's order.

Before it: whoever reads the stream and says what belongs to which lane. After it: `Intake`, which
handles what has come together in a lane, and the acknowledgement, which is only told what is
handled without a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import Message

from tradingtools.adapters.tasks import cancel_all
from tradingtools.runtime.intake import Intake

M = TypeVar("M", bound=Message)
MOST = 64
"""Messages of the stream under way at the same time; more are read when one is done."""


@dataclass(slots=True)
class _Lane(Generic[M]):
    """Pieces that wait, with the messages they are of, and who takes the ones before."""

    waiting: list[tuple[M, _Message]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Message:
    cursor: str
    left: int
    """Pieces that are not handled."""


class Lanes(Generic[M]):
    """One reader's lanes.

    Args:
        intake: handles messages or quarantines them.
        acknowledge: told a cursor when everything up to it is handled.
    """

    def __init__(self, intake: Intake[M], acknowledge: Callable[[str], None]) -> None:
        self._intake = intake
        self._acknowledge = acknowledge
        self._lanes: dict[str, _Lane[M]] = {}
        self._under_way: deque[_Message] = deque()
        self._ended = asyncio.Event()
        self._room = asyncio.Semaphore(MOST)
        self._failure: Exception | None = None

    async def put(self, pieces: Mapping[str, M], cursor: str) -> None:
        """Have the pieces of a message handled, each in its lane; waits for room only."""
        await self._room.acquire()
        message = _Message(cursor, len(pieces))
        self._under_way.append(message)
        for name, piece in pieces.items():
            lane = self._lanes.setdefault(name, _Lane())
            lane.waiting.append((piece, message))
            if lane.task is None:
                lane.task = asyncio.create_task(self._work_off(name, lane))
        if not pieces:
            self._ended.set()

    async def run(self) -> None:
        """Acknowledge for ever.

        Raises:
            Fenced: this process does not own its partition any more.
        """
        try:
            while True:
                await self._ended.wait()
                self._ended.clear()
                if self._failure is not None:
                    raise self._failure
                reached = ""
                while self._under_way and not self._under_way[0].left:
                    reached = self._under_way.popleft().cursor
                    self._room.release()
                if reached:
                    self._acknowledge(reached)
        finally:
            await cancel_all([lane.task for lane in self._lanes.values() if lane.task is not None])

    async def _work_off(self, name: str, lane: _Lane[M]) -> None:
        try:
            while lane.waiting:
                # All that has come meanwhile: what can be done at once costs hardly more than one.
                taken, lane.waiting = lane.waiting, []
                await self._intake.take_together([(p, message.cursor) for p, message in taken])
                for _, message in taken:
                    message.left -= 1
                self._ended.set()
            del self._lanes[name]
        except Exception as error:  # noqa: BLE001 - raised where its cursor would be acknowledged
            self._failure = error
            self._ended.set()
        except BaseException:
            self._failure = RuntimeError(f"lane {name} was cancelled")
            self._ended.set()
            raise
