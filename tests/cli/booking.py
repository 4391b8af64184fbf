"""What confirm does with lots, as a process of its own: `python -m tests.cli.booking URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from services.confirm import corrections
from services.confirm.adoptions import Holdings
from tests.support import leases
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.venues.insiders.wallets import Position


async def book(url: str) -> None:
    """Carry out what is asked of lots, for ever."""
    async with open_pool(url, name="confirm", size=2) as pool:
        lease = await leases.held(pool, "confirm")

        async def write(work: Any) -> bool:
            return bool(await work())

        while True:
            await corrections.poll(pool, lease, write, _plenty(pool))
            await asyncio.sleep(0.02)


def _plenty(pool: Pool) -> Holdings:
    """Say that wallets hold plenty of all that is asked for."""

    async def holdings(proxy: str) -> tuple[Position, ...]:
        async with pool.connection() as connection:
            rows = await connection.execute(
                "select distinct asset_id, condition_id from lot where follower_proxy = %s", [proxy]
            )
            return tuple(Position(**row, shares_micros=10**15) for row in await rows.fetchall())

    return holdings


if __name__ == "__main__":
    asyncio.run(book(sys.argv[1]))
