"""Marks as bookfeed keeps them."""

from __future__ import annotations

import asyncio

from tests.control.requests import CONDITION
from tradingtools.storage.redis import mark_board
from tradingtools.storage.redis.client import open_redis
from tradingtools.v1 import bookfeed_service_pb2 as bookfeed


def put_mark(redis_url: str, asset_id: str, bid_micros: int) -> None:
    """Write a fresh mark with one deep bid."""
    mark = bookfeed.Mark(
        asset_id=asset_id, status=bookfeed.BOOK_STATUS_FRESH, bid_prices_micros=[bid_micros],
        bid_sizes_micros=[10**12],
        market=bookfeed.MarketInfo(
            asset_id=asset_id, condition_id=CONDITION, tick_micros=10_000, min_size_micros=1
        ),
    )  # fmt: skip

    async def write() -> None:
        async with open_redis(redis_url) as client:
            marks = {asset_id: mark.SerializeToString()}
            await mark_board.write(client, marks, stands_ms=3_600_000)

    asyncio.run(write())
