"""Statements that book find rows by their keys, whatever was there when they were planned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest

from services.confirm.queries import QUERIES
from tradingtools.storage.postgres.pool import open_pool

BOOKING = (
    "lock_orders", "fills", "lock_lots", "lot_entries", "default_triggers", "move_orders",
    "set_fills", "move_lots", "set_entries", "move_balances", "bookings_after",
)  # fmt: skip


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


@pytest.mark.parametrize("name", BOOKING)
async def test_no_table_is_read_as_a_whole(shared_url: str, name: str) -> None:
    numbers: dict[str, int] = {}
    text = re.sub(
        r"%\((\w+)\)s", lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}", QUERIES[name]
    )
    async with (
        open_pool(
            shared_url, name="test", size=1, prompt=True, planned_once=True, joined_by_keys=True
        ) as pool,
        pool.connection() as connection,
    ):
        cursor = psycopg.AsyncClientCursor(connection, row_factory=psycopg.rows.tuple_row)
        await cursor.execute(f"explain (generic_plan, format json) {text}".encode())
        row = await cursor.fetchone()
    assert row is not None
    read = [node for node in _nodes(row[0][0]["Plan"]) if node["Node Type"].endswith("Scan")]
    tables = [node for node in read if "Relation Name" in node and "Operation" not in node]
    assert tables
    assert [node["Relation Name"] for node in tables if "Index Cond" not in node] == []
