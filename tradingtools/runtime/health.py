"""Tells health checks, by name, which of a process's dependencies answers.

``grpc.health.v1.Health/Check`` with the name as service. A process serves as long as it lives, for
it waits for what is away; which one that is, operators ask here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import psycopg
import redis.asyncio as redis
from redis.exceptions import RedisError

from tradingtools.rpc.transport import Server
from tradingtools.runtime import lifecycle
from tradingtools.storage.postgres.pool import Pool
from tradingtools.tasks import until_one_ends

POSTGRESQL, REDIS, VENUE = "postgresql", "redis", "venue"
VENUE_ANSWERS = "venue-answers"
"""Whether what the venue answers can be read."""
BOOKFEED, INSIDERS = "bookfeed", "insiders-api"
BACKLOG = "backlog"
"""No dependency: whether what waits in the process itself has not waited for too long."""
_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
Look = Callable[[], Awaitable[bool]]


async def report(server: Server, looks: Mapping[str, Look]) -> None:
    """Look at each dependency again and again, and tell what was found; does not return.

    Args:
        server: of the internal port.
        looks: by name; whether it answers. One that takes long delays no other.
    """
    await until_one_ends(*(_report(server, name, poll) for name, poll in looks.items()))


async def _report(server: Server, name: str, poll: Look) -> None:
    while True:
        serving = await poll()
        await server.set_health(name, serving=serving)
        lifecycle.found(name, serving=serving)
        await asyncio.sleep(_POLL_SECONDS)


def postgresql(pool: Pool) -> Look:
    """Return whether a pool that tries its connections before it lends them has one to lend."""

    async def poll() -> bool:
        try:
            async with pool.connection(timeout=_ANSWER_SECONDS):
                return True
        except psycopg.Error:
            return False

    return poll


def redis_at(client: redis.Redis) -> Look:
    """Return whether Redis answers."""

    async def poll() -> bool:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await client.ping()
        except (RedisError, OSError):
            return False
        return True

    return poll


def known(answer: Callable[[], bool]) -> Look:
    """Return what the process knows without asking anybody."""

    async def poll() -> bool:
        return answer()

    return poll
