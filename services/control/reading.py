"""Reads by key share their way to PostgreSQL: those that arrive meanwhile leave together.

A statement's way there and back costs more than the statement: two system calls, a turn of each
event loop, a transaction. When nobody reads, a read leaves at once and alone; while all lanes are
under way, what arrives waits for one and then leaves as one message. So nobody waits for company,
and a thousand reads a second cost fewer messages than a hundred did.

Before it: `store`. After it: `lane`, on connections that it borrows from a pool and keeps.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from tradingtools import clock
from tradingtools.storage.postgres.direct import PLANS_LOST, Connection, Value, Wired, wired
from tradingtools.storage.postgres.lane import Lane, Said
from tradingtools.storage.postgres.pool import Pool

Row = dict[str, Any]
T = TypeVar("T")
CONNECT_SECONDS = 2.0
_LANES = 2
"""Messages under way: a slow read of one does not hold up the other."""
_AT_ONCE = 16
"""Reads of one message; their answers come when the last of them has been found."""
_PATIENCE_SECONDS = 8.0
"""Who has waited longer for a lane has gone, or will have before the answer: the edge waits ten."""


@dataclass(slots=True)
class _Asked:
    statement: Wired
    answer: asyncio.Future[list[Row]]
    others: int
    """Connections on which it may be asked anew: a broken one is known by its silence only."""
    since: float
    """`monotonic`."""


class Reading:
    """Reads that find rows by their keys; made by :func:`reading`.

    Args:
        pool: whose plans are made once.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: deque[_Asked] = deque()
        self._under_way: dict[Lane, list[_Asked]] = {}
        self._free: list[Lane] = []
        self._connecting = 0
        self._due = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def found(self, text: str, values: Mapping[str, Value]) -> list[Row]:
        """All rows of a statement; raises psycopg.Error and TypeError as ``ask_all``."""
        loop = asyncio.get_running_loop()
        asked = _Asked(
            wired(text, values), loop.create_future(), self._pool.max_size, clock.monotonic()
        )
        self._waiting.append(asked)
        if not self._due:
            # In the next turn: what is asked in this one leaves with it.
            self._due = True
            loop.call_soon(self._serve)
        return await asked.answer

    def _serve(self) -> None:
        self._due = False
        too_old = clock.monotonic() - _PATIENCE_SECONDS
        while self._waiting and self._free:
            together: list[_Asked] = []
            while self._waiting and len(together) < _AT_ONCE:
                asked = self._waiting.popleft()
                # Whoever has left needs no answer.
                if asked.since < too_old:
                    _fail([asked], psycopg.OperationalError("it has waited for too long"))
                elif not asked.answer.done():
                    together.append(asked)
            if together:
                lane = self._free.pop()
                self._under_way[lane] = together
                lane.send([asked.statement for asked in together])
        if self._waiting and self._lanes + self._connecting < _LANES:
            self._connecting += 1
            self._begin(self._connect())

    @property
    def _lanes(self) -> int:
        return len(self._free) + len(self._under_way)

    async def _connect(self) -> None:
        try:
            connection = await self._pool.getconn(CONNECT_SECONDS)
        except psycopg.OperationalError as error:
            self._connecting -= 1
            if not self._lanes:
                # Nor would a later try answer those that wait: they would only learn it later.
                _fail(self._waiting, error)
                self._waiting.clear()
            return
        self._connecting -= 1
        try:
            self._free.append(Lane(connection, self._answered, self._lost))
        except psycopg.OperationalError:
            # It broke while nobody used it: the pool makes another.
            connection.pgconn.finish()
            await self._pool.putconn(connection)
        self._serve()

    def _answered(self, lane: Lane, said: Iterable[Said]) -> None:
        together = self._under_way.pop(lane)
        self._free.append(lane)
        number = 0
        for asked, one in zip(together, said, strict=False):
            if isinstance(one, PLANS_LOST) and asked.others:
                # It is planned anew, and has not been carried out.
                asked.others -= 1
                break
            number += 1
            if isinstance(one, Exception):
                _fail([asked], one)
            elif not asked.answer.done():
                asked.answer.set_result(one)
        # Where one was refused or took too long, those behind it are next: none is asked twice.
        self._waiting.extendleft(reversed(together[number:]))
        self._serve()

    def _lost(self, lane: Lane, error: psycopg.OperationalError) -> None:
        if lane in self._free:
            self._free.remove(lane)
        for asked in reversed(self._under_way.pop(lane, [])):
            if asked.others:
                asked.others -= 1
                self._waiting.appendleft(asked)
            else:
                _fail([asked], error)
        self._begin(self._pool.putconn(lane.connection))
        self._serve()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give the connections back; what is under way is not answered any more."""
        # A connection that comes now is closed with the others.
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        lanes = (*self._free, *self._under_way)
        self._free.clear()
        # All before any is given back: one that is lost meanwhile would be given back twice.
        for lane in lanes:
            lane.close()
        for lane in lanes:
            await self._pool.putconn(lane.connection)


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Reading]:
    """Reads until the block ends.

    Args:
        pool: whose plans are made once, with two connections or more.
    """
    reads = Reading(pool)
    try:
        yield reads
    finally:
        await reads.close()


def _fail(some: Iterable[_Asked], error: Exception) -> None:
    for asked in some:
        if not asked.answer.done():
            asked.answer.set_exception(error)


async def borrowed(pool: Pool, ask: Callable[[Connection], Awaitable[T]]) -> T:
    """Ask on a connection that works.

    Raises:
        psycopg.OperationalError: none does; or what ``ask`` raises.
    """
    # A connection is not asked first whether it still works: that would be a second statement for
    # each read. Where it does not, another reads.
    for others in reversed(range(pool.max_size + 1)):
        # Not as a context: that would end a transaction, and a read has none.
        connection = await pool.getconn(CONNECT_SECONDS)
        try:
            return await ask(connection)
        except psycopg.OperationalError:
            if not (others and connection.closed):
                raise
        finally:
            await pool.putconn(connection)
    raise AssertionError("the last try returned nothing and raised nothing")
