"""Composition of perfmon: bookings and marks in, performance actions out."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import redis.asyncio as redis

from services.perfmon.acting import Actor
from services.perfmon.monitor import Monitor
from services.perfmon.settings import Settings
from tradingtools.rpc import streams
from tradingtools.runtime import gc_policy, health
from tradingtools.runtime.books import Books
from tradingtools.runtime.composition import composed
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.runtime.process import Startup
from tradingtools.storage.redis import control_feed
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run perfmon until ``stop``.

    Raises:
        Startup: a setting is wrong.
    """
    _check_zone(settings.time_zone)
    async with composed("perfmon", settings) as parts:
        pool = await parts.pool(size=4, by_index=True)
        bus = parts.redis()
        confirm = confirm_rpc.ConfirmServiceStub(parts.channel(settings.confirm_target))
        bookfeed = parts.channel(settings.bookfeed_target, newest=True)
        owned = await parts.lease(pool, settings.partition)
        books = Books(bookfeed, timeout_ms=settings.poll_ms)
        actor = Actor(parts.channel(settings.control_target), settings.control_token, owned)
        monitor = Monitor(pool, owned, books, actor, settings)
        parts.stack.push_async_callback(monitor.close)
        booked_to = ""

        async def recover() -> None:
            nonlocal booked_to
            booked_to = await monitor.recover()

        await parts.recover(recover())
        await parts.serve(settings.listen, [], lambda _: None)
        await parts.run(
            stop,
            gc_policy.keep_away(),
            _follow_books(books, monitor),
            _follow_fills(confirm, monitor, booked_to or streams.BEGINNING),
            while_database_is_away(monitor.follow_bookings),
            _follow_control(monitor, bus, settings.poll_ms),
            monitor.keep_polling(),
            monitor.keep_acting(),
            while_database_is_away(monitor.keep_standings),
            looks={health.BOOKFEED: health.known(lambda: not books.silent)},
        )


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Startup(f"TT_PERFMON_TIME_ZONE: {name!r} is no time zone") from None


async def _follow_books(books: Books, monitor: Monitor) -> None:
    # Nobody with rules: marks of everything that is held would be read for nothing.
    await monitor.some.wait()
    await books.keep(monitor.on_books)


async def _follow_fills(
    stub: confirm_rpc.ConfirmServiceAsyncStub, monitor: Monitor, cursor: str
) -> None:
    async for response in streams.read(
        "fills", lambda after: stub.StreamFills(confirm_pb.StreamFillsRequest(cursor=after)), cursor
    ):
        await monitor.on_fills(response)


async def _follow_control(monitor: Monitor, bus: redis.Redis, poll_ms: int) -> None:
    async for _ in control_feed.wake_ups(bus, poll_ms=poll_ms):
        await while_database_is_away(monitor.refresh)
