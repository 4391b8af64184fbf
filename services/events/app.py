"""Composition of the log of events: stores and venues in, writer and servicer out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import grpc

from services.events import store
from services.events.feed_server import EventFeedServicer, Limits
from services.events.server import EventServicer
from services.events.settings import Settings
from services.events.worker import LogWriter
from tradingtools.domain.permissions import BEHIND_EDGE
from tradingtools.rpc import transport
from tradingtools.runtime import gc_policy, health
from tradingtools.runtime.event_feed import EventFeed
from tradingtools.runtime.process import until_stopped
from tradingtools.storage.postgres import event_log, lease
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import event_service_pb2_grpc as rpc

SERVICES = ("tradingtools.v1.EventService", "tradingtools.v1.EventFeedService")


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
        feed = EventFeed(at.number, partial(event_log.after, pool))
        writer = LogWriter(
            pool,
            owned,
            feed,
            at,
            busy_seconds=settings.busy_ms / 1000,
            idle_seconds=settings.idle_ms / 1000,
        )
        limits = Limits(
            streams=settings.streams,
            heartbeat_seconds=settings.stream_heartbeat_seconds,
            life_seconds=settings.stream_life_seconds,
            stalled_seconds=settings.stream_stalled_seconds,
        )

        def register(server: grpc.aio.Server) -> None:
            rpc.add_EventServiceServicer_to_server(EventServicer(pool, feed), server)
            rpc.add_EventFeedServiceServicer_to_server(
                EventFeedServicer(pool, feed, limits), server
            )

        server = await stack.enter_async_context(
            transport.serving(
                settings.listen,
                SERVICES,
                register,
                permissions=BEHIND_EDGE,
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
