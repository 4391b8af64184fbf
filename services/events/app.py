"""Composition of the log of events: adapters in, writer and servicer out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from services.events import store
from services.events.server import EventServicer
from services.events.settings import Settings
from services.events.worker import LogWriter
from tradingtools.adapters.postgres import lease
from tradingtools.adapters.postgres.pool import open_pool
from tradingtools.runtime import cycles, grpc_server, health
from tradingtools.runtime.process import until_stopped
from tradingtools.runtime.streams import Tail
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
            grpc_server.serving(
                settings.listen,
                [SERVICE],
                lambda s: rpc.add_EventServiceServicer_to_server(EventServicer(pool, tail), s),
            )
        )
        await server.set_serving(True)
        await until_stopped(
            stop,
            lease.keep(pool, owned),
            cycles.keep_away(),
            writer.run(),
            health.tell(server, {health.POSTGRESQL: health.postgresql(pool)}),
        )
