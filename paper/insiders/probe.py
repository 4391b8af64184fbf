"""Had the engine committed this order before it asked? Invariant I5, checked from the venue
gateway.

The server asks before anything else, over connections that are the probe's own, and writes the
answer into the journal. The SQL function `submitting_committed` belongs to the engine's
migrations: true when the key was SUBMITTING, now or earlier, with that hash of the body.
"""

from __future__ import annotations

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

_log = structlog.get_logger("insiders.probe")


class LedgerProbe:
    """Asks the engine's database about a key and a hash."""

    def __init__(self, url: str, *, timeout_s: float = 2.0) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[tuple[bool | None]]] = (
            AsyncConnectionPool(
                url,
                min_size=1,
                max_size=4,
                open=False,
                timeout=timeout_s,
                kwargs={"autocommit": True},
            )
        )

    async def open(self) -> None:
        """Start connecting; a database that is not there yet does not stop the start."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def committed(self, key: str, body_sha256: str) -> bool | None:
        """The engine's word, or None when it could not be had (which is logged)."""
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    "SELECT submitting_committed(%s::text, %s::text)", (key, body_sha256)
                )
                row = await cursor.fetchone()
        except (psycopg.Error, PoolTimeout) as error:
            _log.warning("the engine's database did not answer", error=type(error).__name__)
            return None
        return bool(row and row[0])
