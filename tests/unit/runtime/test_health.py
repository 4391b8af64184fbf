"""Test which dependency of a process answers, told by a real server about real stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import redis.asyncio as redis
from grpc_health.v1 import health_pb2, health_pb2_grpc

from launcher import temporary
from tradingtools.rpc.health import CONTRACT
from tradingtools.rpc.transport import channel, serving
from tradingtools.runtime import health
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.tasks import cancel_all

PATIENCE_SECONDS = 60


@asynccontextmanager
async def _reported(looks: Mapping[str, health.Look]) -> AsyncIterator[Any]:
    """A stub of the server that is told."""
    async with serving("127.0.0.1:0", [], lambda _: None) as server:
        telling = asyncio.create_task(health.report(server, looks))
        try:
            async with channel(f"127.0.0.1:{server.port}") as there:
                yield health_pb2_grpc.HealthStub(there)
        finally:
            await cancel_all([telling])


async def _until(stub: Any, name: str, status: int) -> None:
    watched = stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE_SECONDS)
    async for answer in watched:
        if answer.status == status:
            return
    raise AssertionError(name)


UP = health_pb2.HealthCheckResponse.SERVING
DOWN = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_one_call_lists_what_a_process_has_to_tell() -> None:
    async with _reported(
        {"redis": health.known(lambda: True), "venue": health.known(bool)}
    ) as stub:
        await _until(stub, "redis", UP)
        await _until(stub, "venue", DOWN)
        listed = await stub.List(CONTRACT.HealthListRequest(), timeout=PATIENCE_SECONDS)
    # A server begins as NOT_SERVING.
    found = {name: answer.status for name, answer in listed.statuses.items()}
    assert found == {"": DOWN, "redis": UP, "venue": DOWN}


async def test_a_database_that_is_away_is_told_and_that_it_is_back(database_url: str) -> None:
    name = database_url.rsplit("/", 1)[1]
    async with (
        open_pool(database_url, name="test", size=1) as pool,
        _reported({health.POSTGRESQL: health.postgresql(pool)}) as stub,
        await psycopg.AsyncConnection.connect(
            database_url.replace(name, "postgres"), autocommit=True
        ) as server,
    ):
        await _until(stub, "postgresql", UP)
        await server.execute(f"alter database {name} allow_connections false".encode())
        await server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        await _until(stub, "postgresql", DOWN)
        await server.execute(f"alter database {name} allow_connections true".encode())
        await _until(stub, "postgresql", UP)


async def test_one_that_is_away_says_nothing_about_another() -> None:
    with temporary.temporary_valkey() as standing, temporary.temporary_valkey() as dying:
        clients = [redis.Redis.from_url(url) for url in (dying, standing)]
        known = [True]
        looks = {
            health.REDIS: health.redis_at(clients[0]),
            "another": health.redis_at(clients[1]),
            health.VENUE: health.known(lambda: known[0]),
        }
        async with _reported(looks) as stub:
            for name in looks:
                await _until(stub, name, UP)
            known[0] = False
            await _until(stub, "venue", DOWN)
            async with clients[0] as client:
                await client.shutdown(nosave=True)
            await _until(stub, "redis", DOWN)
            await _until(stub, "another", UP)
        for client in clients:
            await client.aclose()
