"""Documents of leaders as enrichment publishes them."""

from __future__ import annotations

import asyncio
import secrets

from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis
from tradingtools.v1 import enrichment_pb2 as pb

DAY_MS = 86_400_000
AS_OF_MS = 1_800_000_000_000


def leader(
    wallet: str, *, trades: int = 10, resolved: int = 0, won: int = 0
) -> pb.LeaderStatistics:
    """A leader with the five windows, who is evidence."""
    windows = [
        pb.LeaderWindow(
            days=days,
            realised_micros=1_500_000,
            bought_micros=20_000_000,
            closed_cost_micros=12_000_000,
            roi=0.125,
            trades=trades,
            markets=3,
            resolved=resolved,
            won=won,
            largest_drawdown_micros=250_001,
        )
        for days in (1, 7, 30, 90, 0)
    ]
    return pb.LeaderStatistics(
        wallet=wallet,
        as_of_ms=AS_OF_MS,
        version="test",
        windows=windows,
        median_size_micros=5_000_001,
    )


def publish(redis_url: str, *leaders: pb.LeaderStatistics) -> str:
    """Publish a snapshot of these leaders; returns its version."""
    version = secrets.token_hex(8)

    async def write() -> None:
        async with open_redis(redis_url) as client:
            by_wallet = {one.wallet: one.SerializeToString() for one in leaders}
            await documents.publish(client, "leaders", version, by_wallet, stands_ms=600_000)

    asyncio.run(write())
    return version


def withdraw(redis_url: str) -> None:
    """Leave no snapshot."""

    async def remove() -> None:
        async with open_redis(redis_url) as client:
            await client.delete(documents.pointer_key("leaders"))

    asyncio.run(remove())
