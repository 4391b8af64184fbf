"""Wake-ups after control changes: a change reaches every index within milliseconds.

The entry carries only the number of the change; readers load the change itself from PostgreSQL, so
a lost, late or doubled wake-up can delay a change by the poll interval and never falsify it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from tradingtools import clock

STREAM = "tt:control"
_LENGTH = 1000
_GRACE_SECONDS = 0.5
"""For an answer that there was nothing to tell."""
_log = structlog.get_logger("control_feed")


async def announce(client: redis.Redis, seq: int) -> None:
    """Tell the readers that a change with this number was committed. Failing is harmless."""
    try:
        await client.xadd(STREAM, {"seq": str(seq)}, maxlen=_LENGTH, approximate=True)
    except RedisError as error:
        _log.warning("wake-up not sent; readers find the change by polling", error=str(error))


async def wake_ups(client: redis.Redis, *, poll_ms: int) -> AsyncIterator[None]:
    """Yield after each announcement, and at least every ``poll_ms`` milliseconds.

    Half a second later at most where Redis does not answer at all.
    """
    last, poll = "", poll_ms / 1000
    while True:
        started = clock.monotonic()
        try:
            # The client's own patience with a server that is silent is many polls long.
            async with asyncio.timeout(poll + _GRACE_SECONDS):
                # Never "$" for the reads themselves: what comes between two would be missed.
                last = last or await _present_end(client)
                answer: Any = await client.xread({STREAM: last}, block=poll_ms)
            if answer:
                last = _newest_id(answer)
        except (RedisError, TimeoutError) as error:
            _log.warning("no wake-ups; polling", error=str(error) or "no answer")
            last = ""
            await asyncio.sleep(max(0.0, started + poll - clock.monotonic()))
        yield


async def _present_end(client: redis.Redis) -> str:
    newest: Any = await client.xrevrange(STREAM, count=1)
    if not newest:
        return "0-0"
    entry = newest[0][0]
    return entry.decode() if isinstance(entry, bytes) else str(entry)


def _newest_id(answer: Any) -> str:
    """Return the last entry's id; the shape depends on the protocol version that was negotiated."""
    streams = list(answer.values()) if isinstance(answer, dict) else [row[1] for row in answer]
    entries = streams[0]
    while isinstance(entries[0], list):
        entries = entries[0]
    newest = entries[-1][0]
    return newest.decode() if isinstance(newest, bytes) else str(newest)
