"""The port to the analytical store: a ClickHouse server, or the embedded form of it.

Two sides. The product's tables of everybody's trades, markets and wallets are only read, by a role
that can do nothing else. Tables of our own are written, at least once, and a key makes a row that
comes twice the same row. Queries are written once, in ClickHouse's dialect as far as SQLite has it,
with parameters as ``{name:Type}``; whatever comes back is text and is read into the fields of a
struct, so that a column of another type is an error and no wrong figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from tradingtools.domain.errors import Unavailable

NAME = "analytical store"
T = TypeVar("T", bound=msgspec.Struct)
Values = Mapping[str, str | int | Sequence[str]]


class WrongTypes(Exception):
    """Rows are not what the query's reader expects; the message names what does not fit."""


class Reader(Protocol):
    """Reads of analytics. Every call may raise Unavailable or WrongTypes."""

    async def rows(self, sql: str, values: Values, kind: type[T]) -> list[T]:
        """Return the rows of a query, each as a struct of ``kind``.

        Args:
            sql: with parameters as ``{name:Type}``.
            values: of the parameters.
            kind: whose fields are the columns; a field of int is read from whole numbers alone.
        """


class Store(Reader, Protocol):
    """Reads and writes of analytics."""

    async def prepare(self) -> None:
        """Make our own tables, where they are missing."""

    async def insert(self, table: str, rows: Sequence[msgspec.Struct]) -> None:
        """Write rows into a table of our own; durable when this returns.

        A row whose key is there already takes its place.
        """


def unavailable(detail: str) -> Unavailable:
    """Return the error of a store that does not answer."""
    return Unavailable(f"{NAME}: {detail}", dependency=NAME, retry_after_ms="1000")
