"""Marks from the hub to the board in Redis: a reader like others, coalesced by a pause.

What is quiet is written again before it goes, what changed at most once a pause.
"""

from __future__ import annotations

import asyncio

import redis.asyncio as redis

from services.bookfeed.hub import Hub, now_ms
from tradingtools.adapters.redis import mark_board

_AT_ONCE = 200


async def publish(hub: Hub, client: redis.Redis, *, pause_ms: int, stands_ms: int) -> None:
    """Keep the board as the hub is, for ever."""
    reader = hub.open(None)
    written_ms = now_ms()
    try:
        while True:
            changed = await reader.changed(_AT_ONCE, pause_ms / 1000)
            if now_ms() - written_ms >= stands_ms / 3:
                written_ms = now_ms()
                for asset_id in hub.tracked:
                    reader.touch(asset_id)
            marks = {mark.asset_id: mark.SerializeToString() for mark in hub.marks(changed)}
            if marks and not await mark_board.write(client, marks, stands_ms=stands_ms):
                for asset_id in marks:
                    reader.touch(asset_id)
            await asyncio.sleep(pause_ms / 1000)
    finally:
        hub.close(reader)
