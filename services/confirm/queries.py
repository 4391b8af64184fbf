"""confirm's named statements, and how they are run inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from psycopg.rows import DictRow

from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.pipeline import Pipeline
from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "queries.sql")

_encode = msgspec.json.Encoder().encode


async def every(connection: Connection, name: str, values: Mapping[str, Any]) -> list[DictRow]:
    """Return all rows of one named query."""
    cursor = await connection.execute(QUERIES[name], values)
    return await cursor.fetchall()


async def one(connection: Connection, name: str, values: Mapping[str, Any]) -> DictRow:
    """Return the only row of one named query; raises LookupError when there is not exactly one."""
    return _only(name, await every(connection, name, values))


def _only(name: str, rows: list[DictRow]) -> DictRow:
    if len(rows) != 1:
        raise LookupError(f"{name}: expected one row, got {len(rows)}")
    return rows[0]


async def pipelined_rows(pipeline: Pipeline, name: str, values: Mapping[str, Any]) -> list[DictRow]:
    """Return all rows of one named query of a transaction whose statements travel together."""
    return await pipeline.queue(QUERIES[name], values).rows()


async def pipelined_row(pipeline: Pipeline, name: str, values: Mapping[str, Any]) -> DictRow:
    """Return the only row, as :func:`pipelined_rows`; raises LookupError unless there is one."""
    return _only(name, await pipelined_rows(pipeline, name, values))


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as a statement takes many at once; their order is in ``place``."""
    return _encode([{**row, "place": place} for place, row in enumerate(rows)]).decode()


def put(pipeline: Pipeline, name: str, parameter: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Ask a statement that takes many rows at once, in their order; without any it is left out."""
    given = list(rows)
    if given:
        pipeline.queue(QUERIES[name], {parameter: as_json(given)})
