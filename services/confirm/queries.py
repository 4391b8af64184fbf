"""confirm's named statements, and how they are run inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from tradingtools.adapters.postgres.prompt import Connection
from tradingtools.adapters.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "queries.sql")


async def every(connection: Connection, name: str, values: Mapping[str, Any]) -> list[DictRow]:
    """All rows of one named query."""
    cursor = await connection.execute(QUERIES[name], values)
    return await cursor.fetchall()


async def one(connection: Connection, name: str, values: Mapping[str, Any]) -> DictRow:
    """The only row of one named query; raises LookupError when there is not exactly one."""
    rows = await every(connection, name, values)
    if len(rows) != 1:
        raise LookupError(f"{name}: expected one row, got {len(rows)}")
    return rows[0]


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as a statement takes many at once; their order is in ``place``."""
    return json.dumps([{**row, "place": place} for place, row in enumerate(rows)])


async def put(
    connection: Connection, name: str, parameter: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Run a statement that takes many rows at once, in their order; without any it is left out."""
    given = list(rows)
    if given:
        await connection.execute(QUERIES[name], {parameter: as_json(given)})
