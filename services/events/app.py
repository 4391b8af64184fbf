"""Composition of the log of events: stores and venues in, writer and servicer out."""

from __future__ import annotations

import asyncio
from functools import partial

import grpc

from services.events import store
from services.events.feed_server import EventFeedServicer, Limits
from services.events.server import EventServicer
from services.events.settings import Settings
from services.events.worker import LogWriter
from tradingtools.domain.permissions import BEHIND_EDGE
from tradingtools.runtime import gc_policy
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.composition import composed
from tradingtools.runtime.event_feed import EventFeed
from tradingtools.storage.postgres import event_log
from tradingtools.v1 import event_service_pb2_grpc as rpc

SERVICES = ("tradingtools.v1.EventService", "tradingtools.v1.EventFeedService")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the log of events until ``stop``."""
    async with composed("events", settings) as parts:
        pool = await parts.pool(size=2, planned_once=True)
        # Its own, and without a question before each use: the writer tries again anyway.
        looking = await parts.pool("log", size=1, prompt=True, planned_once=True)
        owned = await parts.lease(pool)
        at = await store.position(pool)
        feed = EventFeed(at.number, partial(event_log.after, pool))
        writer = LogWriter(
            looking,
            owned,
            feed,
            at,
            busy_seconds=settings.busy_ms / 1000,
            idle_seconds=settings.idle_ms / 1000,
        )
        limits = Limits(
            streams=settings.streams,
            streams_per_token=settings.streams_per_token,
            heartbeat_seconds=settings.stream_heartbeat_seconds,
            life_seconds=settings.stream_life_seconds,
            stalled_seconds=settings.stream_stalled_seconds,
        )

        def register(server: grpc.aio.Server) -> None:
            rpc.add_EventServiceServicer_to_server(EventServicer(pool, feed), server)
            rpc.add_EventFeedServiceServicer_to_server(
                EventFeedServicer(pool, feed, limits), server
            )

        await parts.serve(settings.listen, SERVICES, register, permissions=BEHIND_EDGE)
        backlog = Backlog("events", writer.waited_ms)
        await parts.run(stop, gc_policy.keep_away(), writer.run(), backlog=backlog)
