"""Streams with a cursor, a checkpoint and an acknowledgement, for servers and for readers.

A server appends what it has committed to a :class:`Tail`; any number of readers follow it from
their cursors, from memory when they are near and from the store when they are not. No reader has a
queue of its own, so a slow one costs nothing. A reader keeps reading over reconnects with
:func:`read`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import grpc
import structlog

from tradingtools import clock
from tradingtools.domain.errors import CursorOutOfRange
from tradingtools.tasks import cancel_all
from tradingtools.v1 import common_pb2

T = TypeVar("T")

CHECKPOINT_SECONDS = 2.0
PAGE = 100
BEGINNING = "0"
"""The cursor before the first entry of a stream that is kept in the database."""
_BEHIND_SECONDS = 0.05
"""After which an acknowledgement leaves: the work of both ends for it would otherwise meet what the
reader has just handed on, SUBMITTING above all, on the same cores and the same disk."""
_REFUSALS = frozenset({
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip
"""A reader is not let in: a wrong token or certificate, or another version. Trying again may help
once a person has mended it."""
_NOTIFY_SECONDS = 30.0
_log = structlog.get_logger("streams")

Load = Callable[[int, int], Awaitable[list[tuple[int, T]]]]
"""From the store: up to ``limit`` items after a cursor, in order, as (cursor, item)."""


class Tail(Generic[T]):
    """The newest items of a log with strictly rising cursors.

    Args:
        floor: the store's last cursor at start; everything after it is appended here.
        load: reads what memory no longer holds. It has to know whatever was appended before it is
            called: what it does not give is passed over.
        capacity: items kept in memory.
    """

    def __init__(self, floor: int, load: Load[T], *, capacity: int = 4096) -> None:
        self._floor = floor
        self._load = load
        self._items: deque[tuple[int, T]] = deque()
        self._capacity = capacity
        self._grown = asyncio.Event()

    @property
    def last(self) -> int:
        """Return the newest cursor."""
        return self._items[-1][0] if self._items else self._floor

    def knows(self, cursor: int) -> bool:
        """Return whether a cursor is an item's, or below those that are in memory."""
        return cursor <= self._floor or any(known == cursor for known, _ in self._items)

    def append(self, cursor: int, item: T) -> None:
        """Add a committed item and wake the readers.

        Raises:
            ValueError: the cursor does not rise; a reader could miss the item.
        """
        if cursor <= self.last:
            raise ValueError(f"cursor {cursor} does not rise above {self.last}")
        self._items.append((cursor, item))
        if len(self._items) > self._capacity:
            self.forget_oldest()
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def forget_oldest(self) -> T:
        """Leave the oldest item in memory to the store; return it."""
        self._floor, item = self._items.popleft()
        return item

    async def follow(self, after: int) -> AsyncIterator[tuple[int, list[T]]]:
        """Yield (cursor, items) for ever; an empty list is a checkpoint."""
        while True:
            grown = self._grown
            found = await self.page(after)
            if found is not None:
                after, items = found
                if items:
                    yield after, items
                continue
            try:
                async with asyncio.timeout(CHECKPOINT_SECONDS):
                    await grown.wait()
            except TimeoutError:
                yield after, []

    async def page(self, after: int) -> tuple[int, list[T]] | None:
        """Return the items that follow a cursor, and the cursor behind them; None: none follow yet.

        The list may be empty: the store has nothing up to that cursor.
        """
        if after < self._floor:
            floor = self._floor
            kept = [entry for entry in await self._load(after, PAGE) if entry[0] <= floor]
            return (kept[-1][0] if kept else floor), [item for _, item in kept]
        fresh = self._after(after)
        return (fresh[-1][0], [item for _, item in fresh]) if fresh else None

    def _after(self, cursor: int) -> list[tuple[int, T]]:
        found: list[tuple[int, T]] = []
        for entry in reversed(self._items):
            if entry[0] <= cursor:
                break
            found.append(entry)
        found.reverse()
        return found[:PAGE]


async def read(
    name: str,
    open_stream: Callable[[str], Any],
    cursor: str,
    *,
    silence_seconds: float = 3 * CHECKPOINT_SECONDS,
    retry_seconds: float = 0.1,
) -> AsyncIterator[Any]:
    """Read a stream for ever, resuming after the last response when it breaks.

    Args:
        name: of the stream, for the log.
        open_stream: opens it after a cursor, e.g. ``lambda c: stub.StreamX(Request(cursor=c))``.
        cursor: where to start.
        silence_seconds: without even a checkpoint for so long, the stream is opened again.
        retry_seconds: pause between attempts.

    Raises:
        CursorOutOfRange: the server's log is another one; the caller has to catch up and start
            with an empty cursor.
    """
    connected = False
    refused = _Refused()
    while True:
        call = open_stream(cursor)
        try:
            while True:
                # Not wait_for: on 3.11 it may swallow a cancellation that meets the answer.
                async with asyncio.timeout(silence_seconds):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    break
                if not connected:
                    connected = True
                    _log.info("stream connected", stream=name, cursor=cursor)
                cursor = response.cursor or cursor
                yield response
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.OUT_OF_RANGE:
                raise CursorOutOfRange(f"{name}: cursor is out of range", cursor=cursor) from error
            if error.code() in _REFUSALS:
                refused.log(name, error)
            elif connected:
                _log.warning("stream broken; resuming", stream=name, code=error.code().name)
        except TimeoutError:
            _log.warning("stream silent; resuming", stream=name)
        finally:
            call.cancel()
        connected = False
        await asyncio.sleep(retry_seconds)


class _Refused:
    """Tells a person of a reader that is not let in: first at once, then every half minute."""

    _next = 0.0

    def log(self, name: str, error: grpc.aio.AioRpcError) -> None:
        """Log with an alert, unless it was reported just now."""
        now = clock.monotonic()
        if now >= self._next:
            self._next = now + _NOTIFY_SECONDS
            _log.error(
                "a stream refuses its reader; nothing comes from it", alert=True, stream=name,
                code=error.code().name, detail=error.details(),
            )  # fmt: skip


async def acknowledge(stub: Any, consumer: str, cursor: str) -> None:
    """Tell a server what is committed here. Failing is harmless: it is read again later."""
    try:
        await stub.Acknowledge(
            common_pb2.AcknowledgeRequest(consumer=consumer, cursor=cursor), timeout=2.0
        )
    except grpc.aio.AioRpcError as error:
        _log.warning("not acknowledged", consumer=consumer, code=error.code().name)


async def follow(
    name: str,
    open_stream: Callable[[str], Any],
    cursor: str,
    handle: Callable[[Any], Awaitable[bool]],
    *,
    acknowledge: tuple[Any, str],
) -> None:
    """Read a stream as :func:`read` does, and acknowledge behind the reading what is handled.

    Args:
        name: of the stream, for the log.
        open_stream: opens it after a cursor.
        cursor: where to start.
        handle: handles a response; says whether there was more in it than a checkpoint.
        acknowledge: the stub that takes acknowledgements, and the reader's name.
    """
    async with acknowledging(*acknowledge) as reached:
        async for response in read(name, open_stream, cursor):
            if await handle(response):
                reached(response.cursor)


@asynccontextmanager
async def acknowledging(stub: Any, consumer: str) -> AsyncIterator[Callable[[str], None]]:
    """Have cursors acknowledged behind the reading: the next message waits for no acknowledgement.

    Of those that are given before it leaves, or while one is under way, only the newest is. The
    last ones before the end may be lost, as in a crash: what they stand for is read again.
    """
    newest = ""
    pending = asyncio.Event()

    async def run() -> None:
        while True:
            await pending.wait()
            await asyncio.sleep(_BEHIND_SECONDS)
            pending.clear()
            await acknowledge(stub, consumer, newest)

    def reached(cursor: str) -> None:
        nonlocal newest
        newest = cursor
        pending.set()

    running = asyncio.ensure_future(run())
    try:
        yield reached
    finally:
        await cancel_all([running])
