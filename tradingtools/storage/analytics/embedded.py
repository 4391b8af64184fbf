"""The embedded form of the analytical store: two SQLite files in one directory.

`polymarket.sqlite` stands for the product's tables, `tradingtools.sqlite` has our own; attached
under those names, the same queries read both forms. It costs no package, no process and next to no
memory, and a kill -9 loses nothing that was committed (docs/adr/0063-analytical-store.md). One
thread of its own does the work: a long query holds up nobody on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import msgspec

from tradingtools import clock
from tradingtools.storage.analytics.port import T, Values, WrongTypes, unavailable

DATABASES = ("polymarket", "tradingtools")
_SCHEMA = Path(__file__).parent / "schema"
_PARAMETER = re.compile(r"\{(\w+):(\w+)(\(\w+\))?\}")
_NAME = re.compile(r"[a-z_]+")
_STEPS = 100_000
"""Of SQLite's machine, between two looks at the clock."""
Result = TypeVar("Result")


class _ArgMax:
    """ClickHouse's aggregate: the value where another one is greatest."""

    def __init__(self) -> None:
        self._found: tuple[object, object] | None = None

    def step(self, value: object, by: int) -> None:
        """Take a row."""
        if self._found is None or by > self._found[1]:  # type: ignore[operator]
            self._found = value, by

    def finalize(self) -> object:
        """Return the value."""
        return self._found[0] if self._found else None


class Embedded:
    """Asks and writes the two files.

    Args:
        db: with both attached.
        worker: the one thread that uses it.
        seconds: that a query may take.
    """

    def __init__(self, db: sqlite3.Connection, worker: ThreadPoolExecutor, seconds: float) -> None:
        self._db = db
        self._worker = worker
        self._seconds = seconds

    async def prepare(self) -> None:
        """Make all tables, where they are missing."""
        await self._do(self._prepare)

    async def rows(self, sql: str, values: Values, kind: type[T]) -> list[T]:
        """Return the rows of a query. Raises Unavailable, WrongTypes."""
        return await self._do(lambda: self._rows(sql, values, kind))

    async def insert(self, table: str, rows: Sequence[msgspec.Struct]) -> None:
        """Write rows into a table of our own, all or none. Raises Unavailable."""
        await self._do(lambda: self._insert("tradingtools", table, rows))

    async def fill(self, table: str, rows: Sequence[msgspec.Struct]) -> None:
        """Write rows into a table that stands for one of the product's. Raises Unavailable."""
        await self._do(lambda: self._insert("polymarket", table, rows))

    async def _do(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except sqlite3.Error as error:
            raise unavailable(str(error)) from error

    def _prepare(self) -> None:
        for name in ("polymarket.sqlite.sql", "own.sqlite.sql"):
            self._db.executescript((_SCHEMA / name).read_text())

    def _rows(self, sql: str, values: Values, kind: type[T]) -> list[T]:
        named = {n: v if isinstance(v, str | int) else _list(v) for n, v in values.items()}
        ends = clock.monotonic() + self._seconds
        self._db.set_progress_handler(lambda: clock.monotonic() > ends, _STEPS)
        try:
            cursor = self._db.execute(translated(sql), named)
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
        finally:
            self._db.set_progress_handler(None, 0)
        try:
            return msgspec.convert(found, list[kind], strict=False)  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise WrongTypes(str(error)) from None

    def _insert(self, database: str, table: str, rows: Sequence[msgspec.Struct]) -> None:
        if not rows:
            return
        fields = rows[0].__struct_fields__
        if not all(map(_NAME.fullmatch, (table, *fields))):
            raise ValueError(f"{table}: no table's name")
        marks = ", ".join("?" * len(fields))
        sql = f"insert or replace into {database}.{table} ({', '.join(fields)}) values ({marks})"
        with self._db:
            self._db.execute("begin")
            self._db.executemany(sql, [[getattr(row, name) for name in fields] for row in rows])


def translated(sql: str) -> str:
    """Return a query in SQLite's dialect: its parameters, and no FINAL."""

    def parameter(found: re.Match[str]) -> str:
        return f"(select value from json_each(:{found[1]}))" if found[3] else f":{found[1]}"

    return _PARAMETER.sub(parameter, sql).replace(" final", "")


def _list(value: Sequence[str]) -> str:
    return msgspec.json.encode(list(value)).decode()


@asynccontextmanager
async def opened(directory: Path, *, timeout_seconds: float) -> AsyncIterator[Embedded]:
    """Open, or make, the files of a directory for the length of the block."""
    os.makedirs(directory, exist_ok=True)
    with (
        ThreadPoolExecutor(1, "analytics") as worker,
        closing(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)) as db,
    ):
        for name in DATABASES:
            db.execute(f"attach database ? as {name}", [str(directory / f"{name}.sqlite")])
            db.execute(f"pragma {name}.journal_mode = wal")
            # A crash of the process loses nothing so; one of the machine may lose the last seconds,
            # which are read again.
            db.execute(f"pragma {name}.synchronous = normal")
        db.create_aggregate("argMax", 2, _ArgMax)  # type: ignore[arg-type]
        yield Embedded(db, worker, timeout_seconds)
