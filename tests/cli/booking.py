"""What confirm does with lots, as a process of its own: `python -m tests.cli.booking URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from services.confirm import corrections
from tests.support import leases
from tradingtools.storage.postgres.pool import open_pool


async def book(url: str) -> None:
    """Carry out what is asked of lots, for ever."""
    async with open_pool(url, name="confirm", size=2) as pool:
        lease = await leases.held(pool, "confirm")

        async def write(work: Any) -> bool:
            return bool(await work())

        while True:
            await corrections.look(pool, lease, write)
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(book(sys.argv[1]))
