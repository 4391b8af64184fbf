"""A backlog is told with the lease of its partition; the live view of a run has it from there."""

from __future__ import annotations

import asyncio

from launcher.observe import Observer
from tests.money_path.world import eventually
from tradingtools.storage.postgres import lease
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.tasks import cancel_all


async def test_the_live_view_has_the_backlog_of_who_keeps_a_lease(database_url: str) -> None:
    observer = Observer(database_url, 0)
    async with open_pool(database_url, name="router", size=1, silence_seconds=10) as pool:
        owned = await lease.acquire(pool, "router", 0, "router-0")
        keeping = asyncio.create_task(lease.keep(pool, owned, lambda: 38_000))

        async def reported() -> bool:
            return observer.numbers().backlogs == (("router", 38_000),)

        try:
            await eventually(reported)
        finally:
            await cancel_all([keeping])
            observer.close()
