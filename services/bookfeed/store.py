"""Reads and writes of bookfeed in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_SQL = load_queries(Path(__file__).with_name("queries.sql"))


class Store:
    """Every method raises psycopg.Error or psycopg_pool.PoolTimeout when the database is away."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def watched(self) -> frozenset[str]:
        """Return assets that are held or have live triggers."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["watched"])
            return frozenset(row["asset_id"] for row in await cursor.fetchall())

    async def of_leaders(self, most: int) -> frozenset[str]:
        """Return assets that followed leaders hold."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["of_leaders"], {"most": most})
            return frozenset(row["asset_id"] for row in await cursor.fetchall())

    async def acknowledge(self, consumer: str, cursor: str) -> None:
        """Move a named reader's progress forward; backward changes nothing."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["acknowledge"], {"consumer": consumer, "cursor": cursor})
