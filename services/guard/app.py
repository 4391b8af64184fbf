"""Composition of the guard: adapters in, worker and servicer out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import redis.asyncio as redis

from services.guard import folding
from services.guard.bookings import follow_fills
from services.guard.server import GuardServicer
from services.guard.settings import Settings
from services.guard.worker import Guard
from tradingtools.adapters.postgres import journal, lease
from tradingtools.adapters.postgres.pool import open_pool
from tradingtools.adapters.redis import control_feed
from tradingtools.adapters.redis.client import open_redis
from tradingtools.adapters.tasks import until_one_ends
from tradingtools.runtime import cycles, grpc_server, health, streams
from tradingtools.runtime.books import Books
from tradingtools.runtime.claims import claim_tail
from tradingtools.runtime.intake import Intake, while_database_is_away
from tradingtools.runtime.process import until_stopped
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc
from tradingtools.v1 import guard_service_pb2_grpc as rpc

SERVICE = "tradingtools.v1.GuardService"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the guard until ``stop``."""
    name = f"guard-{settings.partition}"
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(
                settings.shared.database_url,
                name="guard",
                size=4,
                silence_seconds=settings.shared.database_silence_seconds,
                by_index=True,
            )
        )
        # One is enough: changes go through one lock, and one backend has them planned and cached.
        writing = await stack.enter_async_context(
            open_pool(
                settings.shared.database_url,
                name="guard-writing",
                size=1,
                silence_seconds=settings.shared.database_silence_seconds,
                prompt=True,
                planned_once=True,
            )
        )
        # Beside it: a record of peaks, and rows behind, hold up no exit.
        peaks = await stack.enter_async_context(
            open_pool(
                settings.shared.database_url,
                name="guard-peaks",
                size=2,
                silence_seconds=settings.shared.database_silence_seconds,
                prompt=True,
                planned_once=True,
                joined_by_keys=True,
            )
        )
        bus = open_redis(settings.shared.redis_url)
        stack.push_async_callback(bus.aclose)
        confirm = grpc_server.channel(settings.confirm_target)
        bookfeed = grpc_server.channel(settings.bookfeed_target, newest=True)
        for channel in (confirm, bookfeed):
            stack.push_async_callback(channel.close)
        owned = await lease.acquire(pool, "guard", settings.partition, name)
        tail = await claim_tail(pool, "guard", settings.partition)
        books = Books(bookfeed, timeout_ms=settings.poll_ms, asks=False)
        guard = Guard(pool, owned, books, tail, settings, writing=writing, peaks=peaks)
        # Before recovering: a predecessor that was frozen may still acknowledge what came after it.
        fills_from = await journal.acknowledged(pool, "fills", name) or streams.BEGINNING
        with cycles.unsearched():
            await until_one_ends(guard.recover(), lease.keep(pool, owned))
        server = await stack.enter_async_context(
            grpc_server.serving(
                settings.listen,
                [SERVICE],
                lambda s: rpc.add_GuardServiceServicer_to_server(GuardServicer(pool, tail), s),
            )
        )
        await server.set_serving(True)
        fills = Intake(pool, "fills", name, confirm_pb.FillEvent, guard.on_fill)
        await until_stopped(
            stop,
            lease.keep(pool, owned),
            cycles.keep_away(),
            fills.replay(),
            books.keep(guard.on_books),
            guard.keep_peaks(),
            follow_fills(
                fills,
                confirm_rpc.ConfirmServiceStub(confirm),
                name,
                fills_from,
                guard.foresee,
                guard.booked,
            ),
            _follow_control(guard, bus, settings.poll_ms),
            _repeat(guard.look_again, settings.poll_ms / 4000),
            _repeat(guard.suspend, settings.poll_ms / 4000),
            _repeat(guard.fold_peaks, folding.SECONDS),
            health.tell(
                server,
                {
                    health.POSTGRESQL: health.postgresql(pool),
                    health.REDIS: health.redis_at(bus),
                    health.BOOKFEED: health.known(lambda: not books.silent),
                },
            ),
        )


async def _follow_control(guard: Guard, bus: redis.Redis, poll_ms: int) -> None:
    async for _ in control_feed.wake_ups(bus, poll_ms=poll_ms):
        await while_database_is_away(guard.refresh)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await while_database_is_away(work)
