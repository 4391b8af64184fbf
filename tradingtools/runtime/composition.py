"""Compose each ``app.run``: connections, the lease, the server, and the tasks at the end.

Before it: `process.main`, which has loaded the settings. After it: what the process does. All that
is opened here is closed in the opposite order when the block ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypedDict, Unpack

import grpc
from redis.asyncio import Redis

from tradingtools.domain.permissions import ENGINE_PORT, Permission
from tradingtools.rpc import transport
from tradingtools.runtime import health
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.process import HasShared, until_stopped
from tradingtools.settings import SharedSettings
from tradingtools.storage.postgres import lease as leases
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.storage.redis.client import open_redis
from tradingtools.tasks import until_one_ends


class PoolOptions(TypedDict, total=False):
    """Options of a pool, as of :func:`tradingtools.storage.postgres.pool.open_pool`."""

    size: int
    prompt: bool
    statement_seconds: int
    by_index: bool
    planned_once: bool
    joined_by_keys: bool


@asynccontextmanager
async def composed(name: str, settings: HasShared) -> AsyncIterator[Parts]:
    """Return the parts of a process; they are closed when the block ends.

    Args:
        name: of the process, in lower case: its folder in services, its role, its lease.
        settings: of the process.
    """
    async with AsyncExitStack() as stack:
        yield Parts(name, settings.shared, stack)


class Parts:
    """Opens what a process needs, and keeps it until the block of :func:`composed` ends.

    Attributes:
        stack: for what else has to be closed.
    """

    def __init__(self, name: str, shared: SharedSettings, stack: AsyncExitStack) -> None:
        self.stack = stack
        self._name = name
        self._shared = shared
        self._looks: dict[str, health.Look] = {}
        self._owned: tuple[Pool, leases.Lease] | None = None
        self._server: transport.Server | None = None

    async def pool(self, purpose: str = "", **options: Unpack[PoolOptions]) -> Pool:
        """Open a pool of connections to PostgreSQL; health checks ask the first one.

        Args:
            purpose: follows the process's name in ``application_name``.
            options: as of `open_pool`.

        Raises:
            SettingError: TT_DATABASE_URL is not set.
            psycopg_pool.PoolTimeout: the database did not answer within 10 s.
        """
        pool = await self.stack.enter_async_context(
            open_pool(
                self._shared.database_url,
                name=f"{self._name}-{purpose}" if purpose else self._name,
                silence_seconds=self._shared.database_silence_seconds,
                **options,
            )
        )
        self._looks.setdefault(health.POSTGRESQL, health.postgresql(pool))
        return pool

    def redis(self, **options: Any) -> Redis:
        """Open a client of Redis; `options` as of `open_redis`."""
        client = open_redis(self._shared.redis_url, **options)
        self.stack.push_async_callback(client.aclose)
        self._looks.setdefault(health.REDIS, health.redis_at(client))
        return client

    def channel(self, target: str, *, newest: bool = False) -> grpc.aio.Channel:
        """Open a channel to another process; arguments as of `transport.channel`."""
        channel = transport.channel(target, newest=newest)
        self.stack.push_async_callback(channel.close)
        return channel

    async def lease(self, pool: Pool, partition: int = 0) -> leases.Lease:
        """Wait until the partition is ours; :meth:`run` and :meth:`recover` renew the lease."""
        owned = await leases.acquire(pool, self._name, partition, f"{self._name}-{partition}")
        self._owned = pool, owned
        return owned

    async def recover(self, work: Awaitable[None]) -> None:
        """Do what comes before serving, while the lease is renewed.

        Raises:
            Fenced: another owner took over.
        """
        await until_one_ends(work, *self._keep_lease())

    async def serve(
        self,
        listen: str,
        services: Sequence[str],
        register: Callable[[grpc.aio.Server], None],
        *,
        permissions: frozenset[Permission] = ENGINE_PORT,
        operators: bool = True,
    ) -> transport.Server:
        """Start the gRPC server and say that it serves; arguments as of `transport.serving`."""
        self._server = await self.stack.enter_async_context(
            transport.serving(
                listen, services, register, permissions=permissions, operators=operators
            )
        )
        await self._server.set_serving(True)
        return self._server

    async def run(
        self,
        stop: asyncio.Event,
        *tasks: Awaitable[None],
        looks: Mapping[str, health.Look] | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        """Run the tasks until ``stop``; the first one that ends ends all.

        The lease is renewed meanwhile, and health checks report PostgreSQL and Redis, where
        they were opened.

        Args:
            stop: says when.
            tasks: each runs for ever.
            looks: what health checks report besides, by name.
            backlog: what waits in this process; the lease tells of it, and the health checks, if it
                has a bound.

        Raises:
            ExceptionGroup: what the tasks died of.
        """
        looks = {**self._looks, **(looks or {})}
        if backlog is not None and backlog.bounded:
            looks[health.BACKLOG] = backlog.keeps_up
        reporting = [health.report(self._server, looks)] if self._server and looks else []
        await until_stopped(stop, *self._keep_lease(backlog), *tasks, *reporting)

    def _keep_lease(self, backlog: Backlog | None = None) -> list[Awaitable[None]]:
        if self._owned is None:
            return []
        pool, owned = self._owned
        if backlog is None:
            return [leases.keep(pool, owned)]
        return [leases.keep(pool, owned, backlog.age_ms)]
