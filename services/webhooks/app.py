"""Composition of webhooks: the log in, lanes and servicer out."""

from __future__ import annotations

import asyncio
from functools import partial

from services.webhooks.core.addresses import NetworkError, networks
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.keeper import Keeper
from services.webhooks.runner import Parts
from services.webhooks.sender import sending
from services.webhooks.server import WebhookServicer
from services.webhooks.settings import Settings
from services.webhooks.store import Store
from tradingtools.codec.events import from_pb
from tradingtools.domain.event import cloud_event
from tradingtools.domain.permissions import BEHIND_EDGE
from tradingtools.rpc import streams, transport
from tradingtools.runtime import gc_policy
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.composition import composed
from tradingtools.runtime.event_feed import EventFeed, ResultCache
from tradingtools.runtime.process import Startup
from tradingtools.storage.postgres import event_log
from tradingtools.v1 import event_service_pb2 as events_pb
from tradingtools.v1 import event_service_pb2_grpc as events_rpc
from tradingtools.v1 import webhook_service_pb2_grpc as rpc

SERVICE = "tradingtools.v1.WebhookService"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run webhooks until ``stop``. Raises Startup: a setting is wrong."""
    try:
        allowed = networks(settings.allowed_networks)
    except NetworkError as error:
        raise Startup(f"TT_WEBHOOKS_ALLOWED_NETWORKS: {error}") from None
    async with composed("webhooks", settings) as parts:
        pool = await parts.pool(size=3, planned_once=True)
        owned = await parts.lease(pool)
        store = Store(pool, owned)
        feed = EventFeed(await event_log.newest(pool), partial(event_log.after, pool))
        keeper = Keeper(store)
        dispatcher = Dispatcher(store, settings.endpoints)
        sender = await parts.stack.enter_async_context(
            sending(allowed, timeout_seconds=settings.timeout_ms / 1000)
        )
        await dispatcher.begin(
            Parts(
                feed=feed,
                pool=pool,
                sender=sender,
                keeper=keeper,
                bodies=ResultCache(cloud_event),
                first_pause_ms=settings.retry_ms,
                report=dispatcher.report,
            )
        )
        parts.stack.push_async_callback(keeper.write)
        parts.stack.push_async_callback(dispatcher.stop)
        servicer = WebhookServicer(dispatcher, store, pool, allowed)
        await parts.serve(
            settings.listen,
            [SERVICE],
            partial(rpc.add_WebhookServiceServicer_to_server, servicer),
            permissions=BEHIND_EDGE,
        )
        await parts.run(
            stop,
            gc_policy.keep_away(),
            _follow(feed, settings.events_target, dispatcher.some),
            dispatcher.run(),
            keeper.run(),
            backlog=Backlog("webhooks", dispatcher.waited_ms),
        )


async def _follow(feed: EventFeed, target: str, some: asyncio.Event) -> None:
    """Read the log for ever, once an endpoint wants it."""
    await some.wait()
    async with transport.channel(target) as channel:
        stub = events_rpc.EventServiceStub(channel)
        async for response in streams.read(
            "events",
            lambda cursor: stub.StreamEvents(events_pb.StreamEventsRequest(cursor=cursor)),
            str(feed.last),
        ):
            for event in response.events:
                if event.sequence > feed.last:
                    feed.append(event.sequence, from_pb(event))
