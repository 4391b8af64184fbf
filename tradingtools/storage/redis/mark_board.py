"""The newest mark of each watched asset in Redis, for whoever reads beside the engine.

No process of the money path decides by its prices: they have marks over gRPC. A mark stands for a
while and then goes by itself, so a board that nobody writes any more is empty and not wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

PREFIX = "tt:mark:"
"""Before the asset's id; the value is a `Mark` of the contracts."""
_READ_SECONDS = 1.0
_log = structlog.get_logger("mark_board")


async def write(client: redis.Redis, marks: Mapping[str, bytes], *, stands_ms: int) -> bool:
    """Put marks on the board in one round trip; False when Redis did not take them.

    Args:
        client: of any decoding.
        marks: serialised, by asset.
        stands_ms: until when each is there unless it is written again.
    """
    try:
        async with client.pipeline(transaction=False) as pipeline:
            for asset_id, mark in marks.items():
                pipeline.set(f"{PREFIX}{asset_id}", mark, px=stands_ms)
            await pipeline.execute()
    except RedisError as error:
        _log.warning("marks not written; written again soon", error=str(error))
        return False
    return True


async def read(client: redis.Redis, asset_ids: Iterable[str]) -> list[bytes]:
    """Return the marks that are there, serialised; none when Redis does not answer within a second.

    Args:
        client: that decodes nothing.
        asset_ids: whose.
    """
    keys = [f"{PREFIX}{asset_id}" for asset_id in asset_ids]
    if not keys:
        return []
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return [mark for mark in await client.mget(keys) if isinstance(mark, bytes)]
    except (RedisError, TimeoutError) as error:
        _log.warning("no marks read", error=str(error))
        return []
