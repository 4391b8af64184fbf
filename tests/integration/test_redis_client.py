"""Test that whatever becomes of a connection to Redis, its client says so as redis does."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.support.proxy import proxied
from tradingtools.storage.redis import control_feed
from tradingtools.storage.redis.client import open_redis
from tradingtools.tasks import cancel_all

ASKED = 600


async def test_a_connection_that_is_reset_is_redis_that_is_away(redis_url: str) -> None:
    parts = urlsplit(redis_url)
    assert parts.port is not None
    async with proxied(parts.port) as proxy, asyncio.timeout(60):
        url = f"redis://:{parts.password}@{parts.hostname}:{proxy.port}"
        asking = asyncio.ensure_future(asyncio.to_thread(lambda: uvloop.run(_ask(url))))
        while not asking.done():
            proxy.reset()
            await asyncio.sleep(0.01)
        answered, failed = await asking
    assert answered
    assert failed


async def _ask(url: str) -> tuple[int, int]:
    """On the loop that the services use: how often Redis answered, and how often it was away."""
    failed = 0
    async with open_redis(url, retry=Retry(NoBackoff(), 0)) as client:
        for _ in range(ASKED):
            try:
                await client.ping()
            except redis.RedisError:
                failed += 1
            await asyncio.sleep(0.002)
    return ASKED - failed, failed


async def test_a_wake_up_that_nobody_of_ours_wrote_is_one(redis_url: str) -> None:
    async with open_redis(redis_url) as client:
        await client.xadd(control_feed.STREAM, {b"x": b"\xff"})
        try:
            async with (
                aclosing(control_feed.wake_ups(client, poll_ms=60_000)) as wakes,  # type: ignore[type-var]
                asyncio.timeout(30),
            ):
                first = asyncio.ensure_future(anext(wakes))
                while not first.done():
                    await client.xadd(control_feed.STREAM, {b"\xfe": b"\xff"})
                    await asyncio.sleep(0.05)
                await first
        finally:
            await client.delete(control_feed.STREAM)


async def test_a_redis_that_is_silent_holds_up_no_polling() -> None:
    """Several times while another one still hopes for an answer."""
    polls = 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        async with (
            open_redis(url) as client,
            open_redis(url, socket_timeout=4.0, retry=Retry(NoBackoff(), 0)) as patient,
            aclosing(control_feed.wake_ups(client, poll_ms=100)) as wakes,  # type: ignore[type-var]
        ):

            async def poll() -> None:
                nonlocal polls
                async for _ in wakes:
                    polls += 1

            polling = asyncio.ensure_future(poll())
            with pytest.raises(redis.RedisError):
                await patient.ping()
            await cancel_all([polling])
    assert polls >= 2


@pytest.mark.parametrize("url", ["redis://localhost", "rediss://localhost", "unix:///tmp/r"])
async def test_every_kind_of_connection_is_meant(url: str) -> None:
    async with open_redis(url) as client:
        kind: Any = client.connection_pool.connection_class
        assert kind.send_packed_command is not kind.__mro__[2].send_packed_command
