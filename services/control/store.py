"""Reads and changes of control in PostgreSQL: every change is one transaction with its audit entry.

The exclusive control lock is taken first, so a change that has been answered is seen by every
SUBMITTING that commits after it. The wake-up in Redis goes out after the commit and may be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import psycopg
import redis.asyncio as redis
from psycopg.types.json import Jsonb

from services.control.auth.tokens import Caller
from tradingtools.domain.errors import Conflict, RequestIdReused, Unavailable
from tradingtools.storage.postgres.direct import PLANS_LOST, Connection, Value
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.storage.redis.control_feed import announce

Row = dict[str, Any]
T = TypeVar("T")

SOURCE = "rest"
"""Of changes that clients make, in the audit."""
RETRY_AFTER_MS = "1000"
_PATIENCE = {"standing": "1s", "row": "200ms"}
_PATIENCE_OF_HALTS = {"standing": "15s", "row": "3s"}
"""What forbids to send has to get through also where the machine is slow."""
_CONNECT_SECONDS = 2.0
_TURN_SECONDS = 5.0
"""How long a snapshot waits for its turn: it has to be answered, too, before the edge gives up."""

_FOLDER = Path(__file__).parent
_SQL = load_queries(_FOLDER / "changes.sql")


def queries(name: str) -> Mapping[str, LiteralString]:
    """Return the named queries of a file below this folder, ``triggers/queries`` for instance."""
    return load_queries(_FOLDER / f"{name}.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestId:
    """A create that may be repeated: the RPC, the digest of its key, and what was asked."""

    method: str
    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change as the audit keeps it."""

    action: str
    kind: str
    subject: str
    before: Row | None
    after: Row | None


class Change:
    """One open transaction that holds the exclusive control lock."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Row], actor: Caller, source: str
    ) -> None:
        self._connection = connection
        self._actor = actor
        self._source = f"{source}: {actor.client}" if actor.client else source
        self.seq: int | None = None

    async def rows(self, query: LiteralString, **values: Any) -> list[Row]:
        """All rows of a query; empty when it returns none."""
        cursor = await self._connection.execute(query, values)
        return await cursor.fetchall() if cursor.description else []

    async def row(self, query: LiteralString, **values: Any) -> Row | None:
        """The first row of a query."""
        found = await self.rows(query, **values)
        return found[0] if found else None

    async def record(
        self, action: str, kind: str, subject: str, *, before: Row | None, after: Row | None
    ) -> int:
        """Append to the audit; returns the change's number, which the wake-up carries."""
        row = await self.row(
            _SQL["append"],
            actor=self._actor.id,
            source=self._source,
            action=action,
            kind=kind,
            id=subject,
            before=None if before is None else Jsonb(before),
            after=None if after is None else Jsonb(after),
        )
        assert row is not None  # noqa: S101 - a function call always has a row
        self.seq = int(row["seq"])
        return self.seq

    async def record_all(self, entries: Sequence[Entry]) -> list[int]:
        """Append several entries to the audit, in their order; returns their numbers."""
        if not entries:
            return []
        records = [
            {"place": place, "action": e.action, "kind": e.kind, "id": e.subject,
             "before": e.before, "after": e.after}
            for place, e in enumerate(entries)
        ]  # fmt: skip
        rows = await self.rows(
            _SQL["append_all"], actor=self._actor.id, source=self._source, entries=Jsonb(records)
        )
        found = [int(row["seq"]) for row in sorted(rows, key=lambda row: row["place"])]
        self.seq = found[-1]
        return found

    async def known_resource(self, request: RequestId | None) -> str | None:
        """The resource that the same request made before, if it did.

        Raises:
            RequestIdReused: the key came with another request.
        """
        if request is None:
            return None
        known = await self.row(
            _SQL["known_request"],
            caller=self._actor.namespace,
            method=request.method,
            key=request.key,
        )
        if known is None:
            return None
        if known["request_hash"] != request.request_hash:
            raise RequestIdReused(
                "Idempotency-Key: was used with another request", field="Idempotency-Key"
            )
        return str(known["resource_id"])

    async def remember(self, request: RequestId | None, resource: str) -> None:
        """Keep what a request made, for all tokens that may do the same: rotations change none."""
        if request is not None:
            await self.rows(
                _SQL["note_request"],
                caller=self._actor.namespace,
                method=request.method,
                key=request.key,
                request_hash=request.request_hash,
                resource_id=resource,
            )


class Snapshot:
    """One open transaction that reads."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    async def rows(self, query: LiteralString, **values: Any) -> list[Row]:
        """All rows of a read."""
        return await (await self._connection.execute(query, values)).fetchall()


class Store:
    """PostgreSQL as control uses it, and the wake-ups.

    Args:
        pool: of the database, for reads.
        client: of Redis.
        changes: of the database, for changes: no read keeps one waiting.
        keyed: of the database, planned once, for reads that find rows by their keys; None: `pool`.
    """

    def __init__(
        self, pool: Pool, client: redis.Redis, *, changes: Pool, keyed: Pool | None = None
    ) -> None:
        self._pool = pool
        self._changes = changes
        self._snapshots = asyncio.Semaphore(1)
        self._keyed = keyed or pool
        self._redis = client

    async def rows(self, query: LiteralString, **values: Any) -> list[Row]:
        """All rows of a read.

        Raises:
            Unavailable: the database does not answer.
        """

        async def run(connection: Connection) -> list[Row]:
            return await (await connection.execute(query, values)).fetchall()

        with _translated():
            return await _borrowed(self._pool, run)

    async def write(self, query: LiteralString, **values: Any) -> list[Row]:
        """Make a change that no copy depends on, in one statement; return its rows.

        Raises:
            Unavailable: the database does not answer, and the change may or may not have happened.
        """
        with _translated():
            async with _checked(self._changes) as connection, connection.transaction():
                return await (await connection.execute(query, values)).fetchall()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Snapshot]:
        """Several statements that no copy depends on, in one transaction; each sees what was
        committed before it began.

        Raises:
            Unavailable: the database does not answer, and the commit may or may not have happened.
        """
        with _translated():
            async with _checked(self._changes) as connection, connection.transaction():
                yield Snapshot(connection)

    async def found(self, query: LiteralString, **values: Value) -> list[Row]:
        """All rows of a read that clients repeat all the time, found by their keys.

        Raises:
            Unavailable: the database does not answer.
        """
        with _translated():
            return await _borrowed(self._keyed, lambda one: one.fetch_rows(query, values))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Several reads that see the same: what is committed when the first of them begins.

        One at a time: those that read a long history leave connections to the others.

        Raises:
            Unavailable: the database does not answer, or those before it take too long.
        """
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._snapshots.acquire()
        except TimeoutError:
            raise Unavailable(
                "others are being answered; try again", retry_after_ms=RETRY_AFTER_MS
            ) from None
        try:
            with _translated():
                async with _checked(self._pool) as connection, connection.transaction():
                    await connection.execute(_SQL["one_snapshot"])
                    yield Snapshot(connection)
        finally:
            self._snapshots.release()

    @asynccontextmanager
    async def change(
        self, actor: Caller, source: str, *, halts: bool = False
    ) -> AsyncIterator[Change]:
        """A transaction under the exclusive control lock; commits at the end of the block.

        Args:
            actor: who changes something.
            source: by which surface.
            halts: it forbids to send, so nobody is harmed when others wait for it.

        Raises:
            Unavailable: the database does not answer, and the commit may or may not have happened;
                or what it changes was held for too long by another one, and nothing has happened.
            Conflict: another transaction was in the way.
        """
        with _translated():
            async with (
                _checked(self._changes) as connection,
                connection.transaction(),
            ):
                await connection.execute(_SQL["lock"], _PATIENCE_OF_HALTS if halts else _PATIENCE)
                change = Change(connection, actor, source)
                yield change
        # A crash here loses a wake-up, not the change: readers poll.
        if change.seq is not None:
            await announce(self._redis, change.seq)

    async def check(self, name: str = "") -> None:
        """Ask the stores for a sign of life: ``postgresql``, ``redis``, or both.

        Raises:
            Unavailable: naming the one that gives none.
        """
        if name in ("", "postgresql"):
            await self.rows(_SQL["ping"])
        if name == "postgresql":
            return
        try:
            await self._redis.ping()
        except redis.RedisError:
            raise _unavailable("redis") from None


async def _borrowed(pool: Pool, run: Callable[[Connection], Awaitable[T]]) -> T:
    # A connection is not asked first whether it still works: that would be a second statement for
    # each read. Where it does not, another reads. One more try: the server may have lost its plans.
    for others in reversed(range(pool.max_size + 1)):
        # Not as a context: that would end a transaction, and a read has none.
        connection = await pool.getconn(_CONNECT_SECONDS)
        try:
            return await run(connection)
        except PLANS_LOST:
            if not others:
                raise
        except psycopg.OperationalError:
            if not (others and connection.closed):
                raise
        finally:
            await pool.putconn(connection)
    raise AssertionError("the last try returned nothing and raised nothing")


@asynccontextmanager
async def _checked(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
    """A connection that works: a change is not tried a second time."""
    for others in reversed(range(pool.max_size + 1)):
        async with pool.connection(_CONNECT_SECONDS) as connection:
            try:
                await Pool.check_connection(connection)
            except psycopg.OperationalError:
                if not others:
                    raise
                continue
            yield connection
            return


def _unavailable(dependency: str) -> Unavailable:
    return Unavailable(
        f"{dependency} does not answer", dependency=dependency, retry_after_ms=RETRY_AFTER_MS
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
        raise Conflict("another change was in the way; try again", kind="transaction") from None
    except (psycopg.errors.LockNotAvailable, psycopg.errors.IdleInTransactionSessionTimeout):
        raise Unavailable(
            "another change was in the way and nothing has been changed; try again",
            dependency="postgresql", retry_after_ms=RETRY_AFTER_MS,
        ) from None  # fmt: skip
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise _unavailable("postgresql") from error
