"""One statement, its answer and nothing else: for what a copy waits for, and what is read often.

psycopg's cursors find out types, formats and loaders anew for each statement. Cold, that takes as
long as the statement's way to the server and back
([decision](../../../docs/adr/0011-hot-path-clients.md)). Here the server says which types
it wants, and how columns are read is found out once for each prepared statement. The connection is
an ordinary one, from a pool or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg import abc, adapt, errors, generators, pq
from psycopg.abc import Buffer, PQGen
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import DictRow

Value = str | int | bool | bytes | datetime | list[str] | list[int] | None
NamedStatement = tuple[str, Mapping[str, Value]]
"""A named statement's text, and its values by name."""
Wired = tuple[bytes, list[bytes | None], list[pq.Format]]
"""A statement's text, its values and their formats, as the server takes them."""
PLANS_LOST = (errors.InvalidSqlStatementName, errors.FeatureNotSupported)
"""The server does not have a prepared statement any more, or cannot go on with its plan. Asked once
more, it makes another."""
GOOD = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.PIPELINE_SYNC})
_TEXT, _BINARY = pq.Format.TEXT, pq.Format.BINARY
T = TypeVar("T")


class TransactionTimedOut(errors.IdleInTransactionSessionTimeout, psycopg.OperationalError):
    """The database has ended a transaction that this process did not go on with: none of it is
    committed. As when the database goes away, the same again on another connection is right."""


class _Json(adapt.Loader):
    def load(self, data: Buffer) -> Any:
        return msgspec.json.decode(data)


class _Instant(adapt.Loader):
    def load(self, data: Buffer) -> datetime:
        return datetime.fromisoformat(str(data, "ascii"))


class _Integers(adapt.Loader):
    def load(self, data: Buffer) -> list[int]:
        # An element that is null is an error here: none of ours is.
        whole: list[int] = msgspec.json.decode(b"[%b]" % bytes(data)[1:-1])
        return whole


class _Loading:
    """The way in which values are read: as psycopg does, but for three kinds."""

    connection = None

    def __init__(self) -> None:
        self.adapters = adapt.AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("json", _Json)
        self.adapters.register_loader("jsonb", _Json)
        self.adapters.register_loader("timestamptz", _Instant)
        self.adapters.register_loader(_INTEGERS, _Integers)


_INTEGERS = psycopg.adapters.types["int4"].array_oid
_LOADING = _Loading()
_TYPES = frozenset(
    psycopg.adapters.types[name].oid
    for name in ("bool", "int2", "int4", "int8", "text", "json", "jsonb", "timestamptz")
) | {_INTEGERS}


class Connection(psycopg.AsyncConnection[DictRow]):
    """An ordinary connection whose own ways to ask are prompt; not in psycopg's pipeline."""

    _known: dict[bytes, Statement] | None = None
    _named = 0

    async def wait(self, gen: PQGen[T], *bounds: Any, **named: Any) -> T:
        """Wait as psycopg does for each statement; raise `TransactionTimedOut` where it is one."""
        try:
            return await super().wait(gen, *bounds, **named)
        except errors.IdleInTransactionSessionTimeout as error:
            raise TransactionTimedOut(*error.args) from error

    async def fetch_row(self, text: str, values: Mapping[str, Value]) -> DictRow | None:
        """Return the first row of a named statement's answer; None when there is none.

        Args:
            text: with ``%(name)s`` for values. Where PostgreSQL cannot tell the type of one from
                where it stands, the text has to say it.
            values: by name.

        Raises:
            psycopg.Error: as from a cursor.
            psycopg.DataError: a text with NUL in it.
            TypeError: a value, or a column of the answer, of another type than can be handled.
        """
        statement, result = await self._answer(text, values)
        return statement.rows(result, 1)[0] if result.ntuples else None

    async def fetch_rows(self, text: str, values: Mapping[str, Value]) -> list[DictRow]:
        """Run a statement as `fetch_row` does, and return all rows of its answer."""
        statement, result = await self._answer(text, values)
        return statement.rows(result, result.ntuples)

    async def fetch_pipelined(self, queries: Sequence[NamedStatement]) -> list[list[DictRow]]:
        """Return all rows of each statement; they travel together, in their order.

        Raises:
            psycopg.Error: of the first that failed; those after it were not carried out.
            TypeError: as :meth:`fetch_row`.
        """
        statements, answers = await self._answers(queries)
        *results, _ = [self._good(answer) for answer in answers]
        return [
            statement.rows(result, result.ntuples)
            for statement, result in zip(statements, results, strict=True)
        ]

    async def _answers(
        self, queries: Sequence[NamedStatement]
    ) -> tuple[list[Statement], list[list[PGresult]]]:
        """Return the statements; the answers of each, and of the sync."""
        ready = [wired(text, values) for text, values in queries]
        async with self.lock:
            statements = [await self._statement(sql) for sql, _, _ in ready]
            with _pipelined(self.pgconn):
                for statement, (_, wire, formats) in zip(statements, ready, strict=True):
                    self.pgconn.send_query_prepared(statement.name, wire, formats)
                self.pgconn.pipeline_sync()
                return statements, await self.wait(_communicate(self.pgconn, len(ready)))

    async def _answer(self, text: str, values: Mapping[str, Value]) -> tuple[Statement, PGresult]:
        sql, wire, formats = wired(text, values)
        async with self.lock:
            statement = await self._statement(sql)
            self.pgconn.send_query_prepared(statement.name, wire, formats)
            return statement, await self._result()

    async def _statement(self, sql: bytes) -> Statement:
        if self._known is None:
            self._known = {}
        statement = self._known.get(sql)
        if statement is None:
            # Of one whose asker was cancelled meanwhile nobody knows whether the server has it.
            statement = Statement(b"prompt_%d" % self._named)
            self._named += 1
            self.pgconn.send_prepare(statement.name, sql)
            await self._result()
            self._known[sql] = statement
        return statement

    async def _result(self) -> PGresult:
        return self._good(await self.wait(generators.execute(self.pgconn)))

    def _good(self, results: Sequence[PGresult]) -> PGresult:
        for result in results:
            if result.status not in GOOD:
                error = errors.error_from_result(result, "utf-8")
                if isinstance(error, PLANS_LOST):
                    self._known = None
                if isinstance(error, errors.IdleInTransactionSessionTimeout):
                    raise TransactionTimedOut(*error.args) from error
                raise error
        return results[-1]

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        # After a rollback psycopg has the server forget what was prepared: all of it, ours as well.
        if name is None:
            self._known = None
        return super()._deallocate(name)


@dataclass(slots=True, eq=False)
class Statement:
    """A prepared statement. Its answers have the same columns as long as the server has it."""

    name: bytes
    _columns: tuple[str, ...] | None = None
    _reading: abc.Transformer = field(default_factory=lambda: adapt.Transformer(_LOADING))

    def rows(self, result: PGresult, count: int) -> list[DictRow]:
        """So many rows of an answer, by column. Raises TypeError: one is of an unknown type."""
        if self._columns is None:
            self._columns = _columns(result)
        names = self._columns
        self._reading.set_pgresult(result)
        rows = self._reading.load_rows(0, count, lambda row: dict(zip(names, row, strict=True)))
        self._reading.set_pgresult(None)
        return rows


def _columns(result: PGresult) -> tuple[str, ...]:
    names = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
    for number, name in enumerate(names):
        if (oid := result.ftype(number)) not in _TYPES:
            raise TypeError(f"{name}: no loader for the type with oid {oid}")
    return tuple(names)


@contextmanager
def _pipelined(pgconn: PGconn) -> Iterator[None]:
    """Pipeline mode; a connection that cannot leave it, as with answers under way, is closed."""
    pgconn.enter_pipeline_mode()
    try:
        yield
    finally:
        try:
            pgconn.exit_pipeline_mode()
        except psycopg.Error:
            pgconn.finish()


def _communicate(pgconn: PGconn, statements: int) -> PQGen[list[list[PGresult]]]:
    """Send what is queued; the answers of so many statements and of the sync, which commits."""
    yield from generators.send(pgconn)
    answers = []
    for _ in range(statements + 1):
        answers.append((yield from generators.fetch_many(pgconn)))
    return answers


def wired(text: str, values: Mapping[str, Value]) -> Wired:
    """Return a named statement as it travels; raises as `fetch_row`."""
    sql, names = _numbered(text)
    wire = [_dumped(name, values[name]) for name in names]
    return sql, wire, [_BINARY if isinstance(values[n], bytes) else _TEXT for n in names]


@cache
def _numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, text).encode(), tuple(names)


def _dumped(name: str, value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, datetime):
        return value.isoformat().encode()
    if isinstance(value, list) and all(type(item) is int for item in value):
        return b"{%s}" % b",".join(b"%d" % item for item in value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in value)
        return _text(name, "{" + ",".join(f'"{item}"' for item in quoted) + "}")
    raise TypeError(f"{name}: no {type(value).__name__} can be handed over")


def _text(name: str, value: str) -> bytes:
    # The protocol would end it there.
    if "\x00" in value:
        raise psycopg.DataError(f"{name}: PostgreSQL's text cannot contain NUL")
    return value.encode()
