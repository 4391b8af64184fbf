"""Parts of a process live while it runs, and close in the opposite order at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.money_path.world import eventually
from tradingtools.rpc import callers
from tradingtools.runtime import health
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.composition import composed
from tradingtools.settings import SharedSettings
from tradingtools.storage.postgres import lease

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    shared: SharedSettings = field(default_factory=SharedSettings)


@pytest.fixture
def settings(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> _Settings:
    monkeypatch.setattr(callers, "_process", type(callers._process)())
    shared = SharedSettings(database_url=database_url, redis_url=redis_url, engine_open=True)
    callers.use(shared)
    return _Settings(shared=shared)


async def _forever() -> None:
    await asyncio.Event().wait()


def _says(channel: grpc.aio.Channel, **desired: int) -> Callable[[], Any]:
    stub: Any = health_pb2_grpc.HealthStub(channel)

    async def said() -> bool:
        try:
            answers = {
                name: (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status
                for name in desired
            }
        except grpc.aio.AioRpcError:
            return False
        return answers == desired

    return said


def _names(database_url: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select application_name from pg_stat_activity where datname = current_database()"
        ).fetchall()
    return {name for (name,) in rows if name.startswith("tradingtools-")}


async def test_health_checks_are_told_of_what_was_opened(settings: _Settings) -> None:
    stop = asyncio.Event()
    async with composed("router", settings) as parts:
        pool = await parts.pool(size=1)
        await parts.pool("claims", size=1, prompt=True)
        parts.redis()
        await parts.lease(pool, 3)
        server = await parts.serve("127.0.0.1:0", ["a.Service"], lambda _: None)
        channel = parts.channel(f"127.0.0.1:{server.port}")
        assert _names(settings.shared.database_url) == {
            "tradingtools-router", "tradingtools-router-claims",
        }  # fmt: skip
        running = asyncio.create_task(
            parts.run(
                stop,
                _forever(),
                looks={health.VENUE: health.known(lambda: False)},
                backlog=Backlog("router", lambda: 5_000, 1_000),
            )
        )
        reported = {"a.Service": SERVING, "": SERVING, "postgresql": SERVING, "redis": SERVING}
        await eventually(_says(channel, **reported, venue=NOT_SERVING, backlog=NOT_SERVING))

        async def backlog_is_told() -> bool:
            async with pool.connection() as connection:
                rows = await connection.execute("select partition, backlog_ms from partition_lease")
                return await rows.fetchall() == [{"partition": 3, "backlog_ms": 5_000}]

        await eventually(backlog_is_told)
        stop.set()
        await running

    async def all_closed() -> bool:
        return _names(settings.shared.database_url) == set()

    await eventually(all_closed)
    with pytest.raises(grpc.aio.UsageError):
        await _says(channel, a=SERVING)()


async def test_who_loses_the_lease_ends(settings: _Settings) -> None:
    async with composed("router", settings) as parts:
        pool = await parts.pool(size=1)
        await parts.lease(pool)
        async with pool.connection() as connection:
            await connection.execute("update partition_lease set epoch = epoch + 1")
        with pytest.raises(lease.Fenced):
            await asyncio.wait_for(parts.recover(_forever()), 60)
        with pytest.raises(ExceptionGroup) as died:
            await asyncio.wait_for(parts.run(asyncio.Event(), _forever()), 60)
        assert died.value.subgroup(lease.Fenced)


async def test_what_closes_last_was_opened_first(settings: _Settings) -> None:
    closed: list[str] = []

    async def close(what: str) -> None:
        closed.append(what)

    async with composed("router", settings) as parts:
        parts.stack.push_async_callback(close, "first")
        pool = await parts.pool(size=1)
        parts.stack.push_async_callback(close, "second")
    assert closed == ["second", "first"]
    assert pool.closed
