"""Composition of the log of events: stores and venues in, writer and servicer out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from services.events import store
from services.events.server import EventServicer
from services.events.settings import Settings
from services.events.worker import LogWriter
from tradingtools.rpc import transport
from tradingtools.rpc.streams import Tail
from tradingtools.runtime import gc_policy, health
from tradingtools.runtime.process import until_stopped
from tradingtools.storage.postgres import lease
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import event_service_pb2_grpc as rpc

SERVICE = "tradingtools.v1.EventService"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the log of events until ``stop``."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(
                settings.shared.database_url,
                name="events",
                size=3,
                silence_seconds=settings.shared.database_silence_seconds,
                planned_once=True,
            )
        )
        owned = await lease.acquire(pool, "events", 0, "events-0")
        at = await store.position(pool)
        tail = Tail(at.number, partial(store.events_after, pool))
        writer = LogWriter(
            pool,
            owned,
            tail,
            at,
            busy_seconds=settings.busy_ms / 1000,
            idle_seconds=settings.idle_ms / 1000,
        )
        server = await stack.enter_async_context(
            transport.serving(
                settings.listen,
                [SERVICE],
                lambda s: rpc.add_EventServiceServicer_to_server(EventServicer(pool, tail), s),
            )
        )
        await server.set_serving(True)
        await until_stopped(
            stop,
            lease.keep(pool, owned),
            gc_policy.keep_away(),
            writer.run(),
            health.tell(server, {health.POSTGRESQL: health.postgresql(pool)}),
        )
