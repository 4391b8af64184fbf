"""Messages of a stream side by side, those of one lane in turn, cursors in the stream's order.

Before it: whoever reads the stream and says what belongs to which lane. After it: `Consumer`, which
handles what has come together in a lane, and the acknowledgement, which only gets what is
handled without a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import Message

from tradingtools.runtime.consumer import Consumer
from tradingtools.tasks import cancel_all

M = TypeVar("M", bound=Message)
MAX = 2_000
"""Items of the stream's messages under way at the same time; more are read when some are done. With
as many who takes a lane's newest first knows how new the newest are."""


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
    size: int
    since_ns: int


class KeyedWorkers(Generic[M]):
    """One reader's lanes.

    Args:
        consumer: handles messages or quarantines them.
        acknowledge: called with a cursor when everything up to it is handled.
        choose: which pieces of a lane that wait, oldest first, are handled together next: their
            indexes, at least one. By default all.
    """

    def __init__(
        self,
        consumer: Consumer[M],
        acknowledge: Callable[[str], None],
        choose: Callable[[Sequence[M]], Sequence[int]] | None = None,
    ) -> None:
        self._consumer = consumer
        self._acknowledge = acknowledge
        self._choose = choose
        self._lanes: dict[str, _Lane[M]] = {}
        self._under_way: deque[_Message] = deque()
        self._ended = asyncio.Event()
        self._size = 0
        self._room = asyncio.Event()
        self._failure: Exception | None = None

    def oldest_ns(self) -> int | None:
        """Since when the oldest message has been under way that is not handled; None: all are."""
        return next((m.since_ns for m in self._under_way if m.left), None)

    async def put(
        self, pieces: Mapping[str, M], cursor: str, *, size: int = 1, since_ns: int = 0
    ) -> None:
        """Have the pieces of a message handled, each in its lane; waits for room only.

        Args:
            pieces: by lane.
            cursor: of the message.
            size: items in it.
            since_ns: when it came to the process that tells it, since 1970.
        """
        while self._size >= MAX:
            self._room.clear()
            await self._room.wait()
        self._size += size
        message = _Message(cursor, len(pieces), size, since_ns)
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
                    done = self._under_way.popleft()
                    reached = done.cursor
                    self._size -= done.size
                    self._room.set()
                if reached:
                    self._acknowledge(reached)
        finally:
            await cancel_all([lane.task for lane in self._lanes.values() if lane.task is not None])

    def _next(self, lane: _Lane[M]) -> list[tuple[M, _Message]]:
        """Take out of a lane what is handled together next."""
        if self._choose is None:
            # All that has come meanwhile: what can be done at once costs hardly more than one.
            chosen: Sequence[int] = range(len(lane.waiting))
        else:
            chosen = self._choose([piece for piece, _ in lane.waiting])
        taken = [lane.waiting[index] for index in chosen]
        left = set(range(len(lane.waiting))).difference(chosen)
        lane.waiting = [lane.waiting[index] for index in sorted(left)]
        return taken

    async def _work_off(self, name: str, lane: _Lane[M]) -> None:
        try:
            while lane.waiting:
                taken = self._next(lane)
                await self._consumer.take_batch([(p, message.cursor) for p, message in taken])
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
