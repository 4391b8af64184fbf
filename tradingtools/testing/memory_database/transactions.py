"""Rows, and transactions over them: what a twin reads and writes.

A transaction's changes lie over the committed rows until it commits; nobody else sees them. Rows
are never changed in place. Whoever writes a row or a unique key holds its lock to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from tradingtools.domain.order_states import LEGAL
from tradingtools.testing.memory_database.locks import Blocked, Locks
from tradingtools.testing.memory_database.schema import LOG, TABLES, Key, Row, Table, tuple_of

Change = tuple[str, Row | None, Row | None]
"""Table, the row before and after; None: there was or is none."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rows:
    """The committed rows."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, Row]] = {name: {} for name in TABLES}
        self.unique: dict[tuple[str, tuple[str, ...]], dict[Key, Key]] = {
            (name, columns): {} for name, table in TABLES.items() for columns in table.unique
        }
        self.index: dict[str, dict[Any, dict[Key, None]]] = {
            name: {} for name, table in TABLES.items() if table.index is not None
        }
        """Primary keys by the value of a table's indexed column."""
        self.sequences: dict[str, int] = dict.fromkeys((LOG, *TABLES), 0)

    def apply(self, name: str, key: Key, row: Row | None) -> Row | None:
        """Take over a committed row; None: it is deleted. Returns the row before."""
        table, committed = TABLES[name], self.tables[name]
        before = committed.get(key)
        if row is None:
            committed.pop(key, None)
            if table.index is not None and before is not None:
                del self.index[name][before[table.index]][key]
            return before
        if before is None:
            for columns in table.unique:
                self.unique[name, columns][tuple(row[c] for c in columns)] = key
            if table.index is not None:
                self.index[name].setdefault(row[table.index], {})[key] = None
        committed[key] = row
        return before


class Transaction:
    """One transaction. `begin` opens a statement in it and gives it its instant."""

    __slots__ = ("_changed", "_locks", "_rows", "_undo", "failed", "now")

    def __init__(self, rows: Rows, locks: Locks) -> None:
        self._rows = rows
        self._locks = locks
        self._changed: dict[str, dict[Key, Row | None]] = {}
        self._undo: list[tuple[str, Key, bool, Row | None]] = []
        self.now = EPOCH
        self.failed = False
        """A statement has failed: only a rollback is possible."""

    # Savepoints, commit, rollback.

    def savepoint(self) -> int:
        """A place to roll back to."""
        return len(self._undo)

    def rollback_to(self, savepoint: int) -> None:
        """Forget what came after a savepoint; its locks stay."""
        while len(self._undo) > savepoint:
            table, key, had, before = self._undo.pop()
            if had:
                self._changed[table][key] = before
            else:
                del self._changed[table][key]

    def commit(self) -> list[Change]:
        """Make everything visible and let go of the locks; returns what changed."""
        changes: list[Change] = []
        for name, rows in self._changed.items():
            for key, row in rows.items():
                changes.append((name, self._rows.apply(name, key, row), row))
        self.rollback()
        return changes

    def rollback(self) -> None:
        """End without a change."""
        self._changed.clear()
        self._undo.clear()
        self.failed = False
        self._locks.release(self)

    # Reading.

    @property
    def now_us(self) -> int:
        """The statement's instant, microseconds since 1970."""
        return microseconds(self.now)

    def get(self, table: str, *key: Any) -> Row | None:
        """A row by its primary key, as this transaction sees it."""
        mine = self._changed.get(table)
        if mine and key in mine:
            return mine[key]
        return self._rows.tables[table].get(key)

    def rows(self, table: str) -> Iterable[Row]:
        """All rows that this transaction sees."""
        mine = self._changed.get(table)
        if not mine:
            return list(self._rows.tables[table].values())
        return self._merged(table, mine)

    def _merged(self, table: str, mine: dict[Key, Row | None]) -> list[Row]:
        seen = [row for key, row in self._rows.tables[table].items() if key not in mine]
        return seen + [row for row in mine.values() if row is not None]

    def where(self, table: str, **values: Any) -> Iterator[Row]:
        """Rows with these values."""
        index = TABLES[table].index
        rows = self._found(table, values[index]) if index in values else self.rows(table)
        desired, of = tuple(values.values()), tuple_of(tuple(values))
        return (row for row in rows if of(row) == desired)

    def _found(self, table: str, value: Any) -> list[Row]:
        """Rows by the indexed column; one's own, whatever they have there, behind the others."""
        mine = self._changed.get(table, {})
        committed = self._rows.tables[table]
        keys = self._rows.index[table].get(value, {})
        seen = [committed[key] for key in keys if key not in mine]
        return seen + [row for row in mine.values() if row is not None]

    # Writing.

    def lock(self, name: Hashable, *, shared: bool = False) -> None:
        """Hold a lock to the end. Raises Blocked."""
        if not self._locks.take(self, name, shared=shared):
            raise Blocked(name, shared)

    def lock_row(self, table: str, row: Row, *, shared: bool = False) -> None:
        """FOR UPDATE or FOR SHARE. Raises Blocked."""
        self.lock((table, TABLES[table].key_of(row)), shared=shared)

    def next_value(self, sequence: str) -> int:
        """The next number of a sequence; given out once, whatever becomes of it."""
        self._rows.sequences[sequence] += 1
        return self._rows.sequences[sequence]

    def insert(self, name: str, values: Row) -> Row:
        """Insert a row.

        Raises:
            psycopg.errors.UniqueViolation: a unique key is taken.
            psycopg.errors.IntegrityError: another constraint.
        """
        row = self.insert_unless_there(name, values)
        if row is None:
            raise psycopg.errors.UniqueViolation(f"duplicate key in {name}")
        return row

    def insert_unless_there(
        self, name: str, values: Row, conflict: tuple[str, ...] | None = None
    ) -> Row | None:
        """ON CONFLICT DO NOTHING: None when a unique key is taken.

        Args:
            name: of the table.
            values: of the row.
            conflict: only this key's conflicts are passed over; None: every key's.

        Raises:
            psycopg.errors.IntegrityError: a constraint, or another unique key.
        """
        table = TABLES[name]
        row = self._complete(table, values)
        key = table.key_of(row)
        keys = [(columns, tuple(row[c] for c in columns)) for columns in table.unique]
        # A null is equal to nothing.
        uniques = [(columns, value) for columns, value in keys if None not in value]
        self._check(table, row)
        self.lock((name, key))
        for columns, value in uniques:
            self.lock((name, columns, value))
        taken = [columns for columns, value in uniques if self._taken(name, columns, value)]
        if self.get(name, *key) is not None:
            taken.insert(0, table.key)
        if taken:
            if conflict is None or conflict in taken:
                return None
            raise psycopg.errors.UniqueViolation(f"duplicate key {taken[0]} in {name}")
        self._check_references(table, row)
        self._write(name, key, row)
        return row

    def _taken(self, name: str, columns: tuple[str, ...], value: Key) -> bool:
        if value in self._rows.unique[name, columns]:
            return True
        mine = self._changed.get(name, {})
        return any(row and tuple(row[c] for c in columns) == value for row in mine.values())

    def _complete(self, table: Table, values: Row) -> Row:
        row = {**table.constants, **dict.fromkeys(table.dated, self.now), **values}
        if table.identity is not None and table.identity not in values:
            row[table.identity] = self.next_value(LOG if table.logged else table.name)
        if len(row) > len(table.columns):
            raise psycopg.errors.UndefinedColumn(f"{table.name} has not all of {list(values)}")
        if None in map(row.get, table.filled):
            empty = next(name for name in table.filled if row.get(name) is None)
            raise psycopg.errors.NotNullViolation(f"{table.name}.{empty} has no value")
        return row

    def update(self, name: str, row: Row, **changes: Any) -> Row:
        """Change a row; it is locked from now on."""
        table = TABLES[name]
        key = table.key_of(row)
        self.lock((name, key))
        after = {**row, **changes}
        self._check(table, after)
        self._write(name, key, after)
        return after

    def delete(self, name: str, row: Row) -> None:
        """Delete a row."""
        key = TABLES[name].key_of(row)
        self.lock((name, key))
        self._write(name, key, None)

    def _check(self, table: Table, row: Row) -> None:
        for name, holds in (table.checks or {}).items():
            if not holds(row):
                raise psycopg.errors.CheckViolation(f"{table.name} violates {name}")

    def _check_references(self, table: Table, row: Row) -> None:
        for columns, target in table.foreign:
            key = tuple(row[c] for c in columns)
            if None not in key and self.get(target, *key) is None:
                raise psycopg.errors.ForeignKeyViolation(f"{table.name}: no {target} {key}")
        if table.name == "order_event":
            step = (row["from_state"] or None, row["to_state"])
            if step not in LEGAL:
                raise psycopg.errors.ForeignKeyViolation(f"no transition {step}")

    def _write(self, name: str, key: Key, row: Row | None) -> None:
        mine = self._changed.setdefault(name, {})
        self._undo.append((name, key, key in mine, mine.get(key)))
        mine[key] = row


Twin = Callable[[Transaction, Row], list[Row]]
"""A statement's twin: reads and writes a transaction, and returns the rows of the answer."""


def given(values: Row, name: str) -> list[Row]:
    """The rows of a statement that takes many at once, in their order."""
    rows: list[Row] = msgspec.json.decode(values[name])
    return sorted(rows, key=lambda row: row.get("place") or 0)


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970."""
    span = instant - EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def nanoseconds(instant: datetime) -> int:
    """Nanoseconds since 1970."""
    return microseconds(instant) * 1000
