"""Reads by key share their way to PostgreSQL: those that arrive meanwhile leave together.

A statement's way there and back costs more than the statement: two system calls, a turn of each
event loop, a transaction. When nobody reads, a read leaves at once and alone; while one is under
way, what arrives waits for it and then leaves as one message. So nobody waits for company, and a
thousand reads a second cost fewer messages than a hundred did.

Before it: `store`. After it: `prompt`, whose connections it borrows from a pool.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from tradingtools.adapters.postgres.pool import Pool
from tradingtools.adapters.postgres.prompt import PLANS_LOST, Connection, Value

Row = dict[str, Any]
T = TypeVar("T")
CONNECT_SECONDS = 2.0
_LANES = 2
"""Messages under way: a slow read of one does not hold up the other."""
_AT_ONCE = 16
"""Reads of one message; their answers come when the last of them has been found."""


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str
    values: Mapping[str, Value]
    answer: asyncio.Future[list[Row]]


class Reading:
    """Reads that find rows by their keys.

    Args:
        pool: whose plans are made once.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: deque[_Asked] = deque()
        self._lanes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def found(self, text: str, values: Mapping[str, Value]) -> list[Row]:
        """All rows of a statement; raises psycopg.Error and TypeError as ``ask_all``."""
        answer: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(text, values, answer))
        if self._lanes < _LANES:
            self._lanes += 1
            lane = asyncio.ensure_future(self._serve())
            self._tasks.add(lane)
            lane.add_done_callback(self._tasks.discard)
        return await answer

    async def _serve(self) -> None:
        try:
            while self._waiting:
                together = [
                    self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))
                ]
                # Whoever has left needs no answer.
                await self._answer([asked for asked in together if not asked.answer.done()])
        finally:
            # At once: what is asked from now on finds a lane, and not one that has ended.
            self._lanes -= 1

    async def _answer(self, together: Sequence[_Asked]) -> None:
        if not together:
            return
        try:
            found = await borrowed(self._pool, lambda connection: _ask(connection, together))
        except Exception as error:  # noqa: BLE001 - whoever asked has to hear of it, not this task
            if len(together) > 1 and not _is_away(error):
                # One of them cannot even be asked, and the others with it.
                for asked in together:
                    await self._answer([asked])
                return
            _fail(together, error)
            if _is_away(error):
                # Nor would those that wait be answered: each would only learn it later.
                _fail(self._waiting, error)
                self._waiting.clear()
            return
        for asked, said in zip(together, found, strict=False):
            if isinstance(said, psycopg.Error):
                _fail([asked], said)
            elif not asked.answer.done():
                asked.answer.set_result(said)
        # Where one was refused or took too long, those behind it are next: none is asked twice.
        self._waiting.extendleft(reversed(together[len(found) :]))


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


async def _ask(
    connection: Connection, together: Sequence[_Asked]
) -> Sequence[list[Row] | psycopg.Error]:
    if len(together) == 1:
        return [await _ask_alone(connection, together[0])]
    asked = [(one.text, one.values) for one in together]
    told = await connection.ask_each(asked)
    if isinstance(told[-1], PLANS_LOST):
        # This connection has made another plan by then.
        told[-1:] = await connection.ask_each(asked[len(told) - 1 :])
    return told


async def _ask_alone(connection: Connection, asked: _Asked) -> list[Row]:
    try:
        return await connection.ask_all(asked.text, asked.values)
    except PLANS_LOST:
        return await connection.ask_all(asked.text, asked.values)


def _is_away(error: Exception) -> bool:
    """Whether it is the database that does not answer, and not a statement that it refuses."""
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None
