"""A transaction whose statements travel together: they leave when an answer is read.

For writers that hold up others while they write: each round trip that is saved is a few hundred
microseconds in which the next batch does not wait. No cursors, for the same reason
([decision](../../../docs/adr/0011-hot-path-clients.md)).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg.rows import DictRow

from tradingtools.storage.postgres.direct import Connection, Value


class Answer:
    """The answer of a statement, once it has left."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.found: list[DictRow] | None = None

    async def rows(self) -> list[DictRow]:
        """Return all rows. Sends what waits if need be, and raises then as
        :meth:`Pipeline.send`."""
        if self.found is None:
            await self._pipeline.send()
        if self.found is None:
            raise psycopg.errors.InFailedSqlTransaction("a statement before this one has failed")
        return self.found


class Pipeline:
    """Statements of one transaction, in their order.

    Args:
        connection: in the transaction, for this alone; in none, each time of sending is one.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[str, Mapping[str, Value], Answer]] = []
        self._failed = False

    def queue(self, text: str, values: Mapping[str, Value]) -> Answer:
        """Put a named statement behind those that wait."""
        answer = Answer(self)
        self._waiting.append((text, values, answer))
        return answer

    @property
    def waits(self) -> bool:
        """Return whether there is something to send."""
        return bool(self._waiting)

    async def send(self) -> None:
        """Send what waits, and read all answers.

        Raises:
            psycopg.Error: of the first that failed; nothing of the transaction will be committed.
        """
        waiting, self._waiting = self._waiting, []
        if self._failed or not waiting:
            return
        self._failed = True
        found = await self._connection.fetch_pipelined(
            [(text, values) for text, values, _ in waiting]
        )
        self._failed = False
        for (_, _, answer), rows in zip(waiting, found, strict=True):
            answer.found = rows


@asynccontextmanager
async def pipelined(connection: Connection) -> AsyncIterator[Pipeline]:
    """Open a transaction; it is committed when the block ends, along with what waits then.

    What a statement raises comes out where an answer is read, at the latest when the block ends;
    nothing is committed then. Whatever must not be committed is read and judged within the block.

    Args:
        connection: idle.
    """
    pipeline = Pipeline(connection)
    pipeline.queue("begin", {})
    try:
        yield pipeline
        await pipeline.queue("commit", {}).rows()
    except BaseException:
        # One that cannot roll back is broken, and rolled back with its connection.
        with suppress(psycopg.Error):
            await connection.fetch_row("rollback", {})
        raise
