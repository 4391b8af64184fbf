"""The database as services see it: a pool, connections, transactions, cursors.

Every statement and every commit is a point where time passes and where things go wrong; which ones
is up to the `Conditions`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import psycopg

from tradingtools.testing.memory_database.database import MemoryDatabase
from tradingtools.testing.memory_database.locks import Blocked
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction

STATEMENT_TIMEOUT_SECONDS = 15.0
_BOUNDS = frozenset({"begin", "commit", "rollback"})


class Conditions(Protocol):
    """Conditions between a client and the database. Both may take time, and raise
    ``psycopg.OperationalError``: the connection is broken then."""

    async def request(self, what: str) -> None:
        """Before a statement or a commit reaches the database: raising, it never does."""

    async def reply(self, what: str) -> None:
        """After it took effect: raising, the client does not learn of it."""


class NoFaults:
    """No delays, no faults."""

    async def request(self, what: str) -> None:
        """Nothing happens."""

    async def reply(self, what: str) -> None:
        """Nothing happens."""


class MemoryCursor:
    """The rows of one answer."""

    __slots__ = ("_next", "_rows", "_written")

    def __init__(self, rows: list[Row], written: int) -> None:
        self._rows = rows
        self._written = written
        self._next = 0

    @property
    def rowcount(self) -> int:
        """Return how many rows came back or, of a statement that returns none, were written."""
        return len(self._rows) or self._written

    async def fetchone(self) -> Row | None:
        """The next row, or None."""
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    async def fetchall(self) -> list[Row]:
        """All rows that are left."""
        rows, self._next = self._rows[self._next :], len(self._rows)
        return rows


class MemoryConnection:
    """One connection; a statement outside of a transaction commits by itself."""

    __slots__ = ("_broken", "_conditions", "_database", "_transaction", "_written")

    def __init__(self, database: MemoryDatabase, conditions: Conditions) -> None:
        self._database = database
        self._conditions = conditions
        self._transaction: Transaction | None = None
        self._broken = False
        self._written = 0

    def break_off(self) -> None:
        """The other end is gone."""
        self._broken = True

    def close(self) -> None:
        """Give up what is open."""
        if self._transaction is not None:
            self._database.rollback(self._transaction)
            self._transaction = None

    async def execute(
        self, text: str, values: Mapping[str, Any] | None = None, *, prepare: bool | None = None
    ) -> MemoryCursor:
        """Answer a named statement, or begin or end a transaction by its name.

        Raises:
            LookupError: the statement has no twin.
            psycopg.Error: as PostgreSQL would.
        """
        if text in _BOUNDS:
            await self._bound(text)
            return MemoryCursor([], 0)
        del prepare  # There are no plans here.
        statement = self._database.statement(text)
        await self._point(self._conditions.request, statement.name)
        if self._transaction is not None:
            rows = await self._run(self._transaction, statement.twin, dict(values or {}))
        else:
            (rows,) = await self._run_alone([(statement.twin, dict(values or {}))])
        await self._point(self._conditions.reply, statement.name)
        return MemoryCursor(rows, self._written)

    async def fetch_row(self, text: str, values: Mapping[str, Any]) -> Row | None:
        """The first row of a named statement's answer; raises as :meth:`execute`."""
        return await (await self.execute(text, values)).fetchone()

    async def fetch_pipelined(
        self, statements: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> list[list[Row]]:
        """All rows of each statement; outside of a transaction they are one, which commits.

        Raises:
            LookupError: a statement has no twin.
            psycopg.Error: as :meth:`execute`; no more statements are carried out then.
        """
        if self._transaction is not None or not _BOUNDS.isdisjoint(text for text, _ in statements):
            return [
                await (await self.execute(text, values)).fetchall() for text, values in statements
            ]
        found = [(self._database.statement(text), dict(values)) for text, values in statements]
        name = found[0][0].name
        await self._point(self._conditions.request, name)
        rows = await self._run_alone([(statement.twin, values) for statement, values in found])
        await self._point(self._conditions.reply, name)
        return rows

    async def _bound(self, text: str) -> None:
        if text == "begin":
            if self._broken:
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            self._transaction = self._database.begin(self.break_off)
        elif text == "commit":
            await self.commit()
        else:
            self.close()

    async def _point(self, step: Any, what: str) -> None:
        try:
            await step(what)
        except psycopg.OperationalError:
            self._broken = True
        if self._broken:
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    async def _run_alone(self, statements: Sequence[tuple[Any, Row]]) -> list[list[Row]]:
        self._transaction = transaction = self._database.begin(self.break_off)
        try:
            rows = [await self._run(transaction, twin, values) for twin, values in statements]
            self._database.commit(transaction)
            self._transaction = None
            return rows
        finally:
            self.close()

    async def _run(self, transaction: Transaction, twin: Any, values: Row) -> list[Row]:
        if transaction.failed:
            raise psycopg.errors.InFailedSqlTransaction("current transaction is aborted")
        start = transaction.savepoint()
        while True:
            transaction.now = self._database.now()
            try:
                rows: list[Row] = twin(transaction, values)
                self._written = transaction.savepoint() - start
                return rows
            except Blocked as blocked:
                transaction.rollback_to(start)
                await self._wait(transaction, blocked)
            except psycopg.Error:
                transaction.rollback_to(start)
                transaction.failed = True
                raise

    async def _wait(self, transaction: Transaction, blocked: Blocked) -> None:
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_SECONDS):
                await self._database.wait(transaction, blocked)
        except TimeoutError:
            transaction.failed = True
            raise psycopg.errors.QueryCanceled("canceling statement due to timeout") from None
        except psycopg.Error:
            transaction.failed = True
            raise
        if self._broken:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    def transaction(self) -> _Block:
        """A transaction, or a savepoint within one: ``async with connection.transaction()``."""
        return _Block(self)

    def open_block(self) -> tuple[Transaction, int] | None:
        """Begin a transaction; within one: itself, and the place to roll back to."""
        if self._transaction is not None:
            return self._transaction, self._transaction.savepoint()
        if self._broken:
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        self._transaction = self._database.begin(self.break_off)
        return None

    async def commit(self) -> None:
        await self._point(self._conditions.request, "commit")
        transaction = self._transaction
        if transaction is None:
            raise psycopg.OperationalError("the connection is closed")
        self._transaction = None
        if transaction.failed:
            self._database.rollback(transaction)
        else:
            self._database.commit(transaction)
        await self._point(self._conditions.reply, "commit")


class _Block:
    """A transaction or a savepoint while it is open; no generator, as with a loan."""

    __slots__ = ("_connection", "_outer")

    def __init__(self, connection: MemoryConnection) -> None:
        self._connection = connection
        self._outer: tuple[Transaction, int] | None = None

    async def __aenter__(self) -> None:
        self._outer = self._connection.open_block()

    async def __aexit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if self._outer is not None:
            if kind is not None:
                outer, start = self._outer
                outer.rollback_to(start)
                outer.failed = False
            return
        try:
            if kind is None:
                await self._connection.commit()
        finally:
            self._connection.close()


class _Loan:
    """A connection while it is borrowed; a generator in its place would cost a seed of the
    simulation a twentieth of its time."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: MemoryPool) -> None:
        self._pool = pool
        self._connection: MemoryConnection | None = None

    async def __aenter__(self) -> MemoryConnection:
        self._connection = await self._pool.lend()
        return self._connection

    async def __aexit__(self, *_error: object) -> None:
        if self._connection is not None:
            self._pool.take_back(self._connection)


class MemoryPool:
    """A pool as `open_pool` gives it, on a database in memory.

    Args:
        database: to be connected with.
        conditions: of this process's connections.
        size: connections at most.
    """

    def __init__(
        self, database: MemoryDatabase, conditions: Conditions | None = None, size: int = 4
    ) -> None:
        self._database = database
        self._conditions = conditions or NoFaults()
        self._free = asyncio.Semaphore(size)
        self._lent: dict[MemoryConnection, None] = {}

    def connection(self) -> _Loan:
        """Borrow a connection: ``async with pool.connection() as connection``.

        Raises:
            psycopg.OperationalError: the database refuses connections.
        """
        return _Loan(self)

    async def lend(self) -> MemoryConnection:
        """Wait for a connection. Raises psycopg.OperationalError."""
        await self._free.acquire()
        try:
            if self._database.down:
                await self._conditions.request("connect")
                if self._database.down:
                    raise psycopg.OperationalError("connection refused")
        except BaseException:
            self._free.release()
            raise
        connection = MemoryConnection(self._database, self._conditions)
        self._lent[connection] = None
        return connection

    def take_back(self, connection: MemoryConnection) -> None:
        """Give up what is open in it, and let the next one have it."""
        self._lent.pop(connection, None)
        connection.close()
        self._free.release()

    def abandon(self) -> None:
        """The process is gone: what it had not committed is rolled back."""
        for connection in self._lent:
            connection.break_off()
            connection.close()
