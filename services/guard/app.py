"""Composition of the guard: stores and venues in, worker and servicer out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import redis.asyncio as redis

from services.guard import compaction
from services.guard.bookings import follow_fills
from services.guard.server import GuardServicer
from services.guard.settings import Settings
from services.guard.worker import Guard
from tradingtools.rpc import streams
from tradingtools.runtime import gc_policy, health
from tradingtools.runtime.books import Books
from tradingtools.runtime.claim_tail import claim_tail
from tradingtools.runtime.composition import composed
from tradingtools.runtime.consumer import Consumer, while_database_is_away
from tradingtools.storage.postgres import journal
from tradingtools.storage.redis import control_feed
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc
from tradingtools.v1 import guard_service_pb2_grpc as rpc
from tradingtools.venues.insiders.order_body import order_body

SERVICE = "tradingtools.v1.GuardService"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the guard until ``stop``."""
    name = f"guard-{settings.partition}"
    async with composed("guard", settings) as parts:
        pool = await parts.pool(size=4, by_index=True)
        # One is enough: changes go through one lock, and one backend has them planned and cached.
        writing = await parts.pool("writing", size=1, prompt=True, planned_once=True)
        # Beside it: a record of peaks, and rows behind, hold up no exit.
        peaks = await parts.pool(
            "peaks", size=2, prompt=True, planned_once=True, joined_by_keys=True
        )
        bus = parts.redis()
        confirm = confirm_rpc.ConfirmServiceStub(parts.channel(settings.confirm_target))
        bookfeed = parts.channel(settings.bookfeed_target, newest=True)
        owned = await parts.lease(pool, settings.partition)
        tail = await claim_tail(pool, "guard", settings.partition)
        books = Books(bookfeed, timeout_ms=settings.poll_ms, asks=False)
        guard = Guard(
            pool, owned, books, tail, settings, writing=writing, peaks=peaks, body_of=order_body
        )
        # Before recovering: a predecessor that was frozen may still acknowledge what came after it.
        fills_from = await journal.acknowledged(pool, "fills", name) or streams.BEGINNING
        with gc_policy.unsearched():
            await parts.recover(guard.recover())
        servicer = GuardServicer(pool, tail)
        await parts.serve(
            settings.listen, [SERVICE], partial(rpc.add_GuardServiceServicer_to_server, servicer)
        )
        fills = Consumer(pool, "fills", name, confirm_pb.FillEvent, guard.on_fill)
        await parts.run(
            stop,
            gc_policy.keep_away(),
            fills.replay(),
            books.keep(guard.on_books),
            guard.keep_peaks(),
            follow_fills(fills, confirm, name, fills_from, guard.prefetch, guard.booked),
            _follow_control(guard, bus, settings.poll_ms),
            _repeat(guard.recheck, settings.poll_ms / 4000),
            _repeat(guard.suspend, settings.poll_ms / 4000),
            _repeat(guard.fold_peaks, compaction.SECONDS),
            looks={health.BOOKFEED: health.known(lambda: not books.silent)},
        )


async def _follow_control(guard: Guard, bus: redis.Redis, poll_ms: int) -> None:
    async for _ in control_feed.wake_ups(bus, poll_ms=poll_ms):
        await while_database_is_away(guard.refresh)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await while_database_is_away(work)
