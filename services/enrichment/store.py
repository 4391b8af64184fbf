"""Read from PostgreSQL whom somebody follows, what is held, and what the router has decided."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")


class Claim(msgspec.Struct, frozen=True):
    """A record of the router's journal."""

    seq: int
    at: datetime
    payload: dict[str, Any]


async def followed(pool: Pool) -> list[str]:
    """Return the leaders of all subscriptions that are not deleted."""
    return [row["leader"] for row in await _rows(pool, "followed", {})]


async def held(pool: Pool) -> list[str]:
    """Return the assets that followers hold."""
    return [row["asset_id"] for row in await _rows(pool, "held", {})]


async def claims(pool: Pool, after: int, most: int) -> list[Claim]:
    """Return the router's claims after a record, in order, up to where the log of events is made.

    Below that no transaction can still commit.
    """
    rows = await _rows(pool, "claims", {"after": after, "most": most})
    return [
        Claim(row["seq"], row["committed_at"], msgspec.json.decode(bytes(row["payload"])))
        for row in rows
    ]


async def log_end(pool: Pool) -> int:
    """Return the number of the newest event."""
    (row,) = await _rows(pool, "log_end", {})
    return int(row["number"])


async def _rows(pool: Pool, name: str, values: dict[str, object]) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values)
        return await cursor.fetchall()
