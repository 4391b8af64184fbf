"""Publish marks from the hub to the board in Redis, coalesced by a pause.

What is quiet is written again before it goes, what changed at most once a pause. A start takes back
what the life before it knew of markets, never a price: to ask for hundreds of them takes many
seconds, in which no stop-loss would be judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import redis.asyncio as redis
import structlog
from google.protobuf.message import DecodeError

from services.bookfeed.core.book_state import TAKEOVER_MS
from services.bookfeed.hub import Hub, now_ms
from tradingtools.storage.redis import mark_board
from tradingtools.v1 import bookfeed_service_pb2 as pb

_AT_ONCE = 200
_log = structlog.get_logger("bookfeed")


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


async def restore(hub: Hub, client: redis.Redis, asset_ids: Iterable[str]) -> None:
    """Begin with assets whose markets the board knows; their books come as those of others.

    What is closed is left out: it is not in a hurry, and nothing ends by what a cache says.
    """
    found = 0
    for kept in await mark_board.read(client, asset_ids):
        mark = pb.Mark()
        try:
            mark.ParseFromString(kept)
        except DecodeError:
            continue
        if mark.asset_id and not mark.market.closed and not mark.market.HasField("payout_micros"):
            hub.track(mark.asset_id).missed(now_ms() + TAKEOVER_MS)
            hub.set_market(mark.asset_id, mark.market)
            found += 1
    _log.info("markets taken back", markets=found)
