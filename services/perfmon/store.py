"""Read results and rules from PostgreSQL, and keep where subscriptions stand.

Who writes holds the lease until the transaction ends: of two perfmons only one keeps anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.perfmon.core import standing as standings
from services.perfmon.core.standing import WindowState
from tradingtools.domain.performance_states import PerformanceState
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
Row = dict[str, Any]


async def fetch(pool: Pool, name: str, **values: Any) -> list[Row]:
    """Return all rows of one named query."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values)
        return await cursor.fetchall()


async def put(
    pool: Pool, lease: Lease, kept: Mapping[str, tuple[PerformanceState, WindowState]]
) -> None:
    """Keep where subscriptions stand, all of them or none.

    Raises:
        Fenced: another perfmon has taken over.
    """
    rows = [
        {"id": key, "state": state, "standing": standings.to_json(standing)}
        for key, (state, standing) in kept.items()
    ]
    async with pool.connection() as connection, connection.transaction():
        await journal.check_lease(connection, lease)
        await connection.execute(_QUERIES["put"], {"rows": json.dumps(rows)})


async def drop(pool: Pool, lease: Lease, ids: Sequence[str]) -> None:
    """Forget subscriptions that have no rules any more.

    Raises:
        Fenced: another perfmon has taken over.
    """
    async with pool.connection() as connection, connection.transaction():
        await journal.check_lease(connection, lease)
        await connection.execute(_QUERIES["drop"], {"ids": list(ids)})
