"""Composition of the router: stores and venues in, worker and servicer out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from services.router.core.backlog import TradeSummary, next_batch
from services.router.leader_snapshot import LeaderSnapshot
from services.router.partitioning import check_partitioning
from services.router.recorder import Recorder
from services.router.server import RouterServicer
from services.router.settings import Settings
from services.router.worker import Router
from tradingtools import clock
from tradingtools.domain.errors import CursorOutOfRange
from tradingtools.rpc import streams
from tradingtools.runtime import health
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.books import Books
from tradingtools.runtime.claim_tail import claim_tail
from tradingtools.runtime.composition import composed
from tradingtools.runtime.consumer import Consumer, while_database_is_away
from tradingtools.runtime.fills import follow_fills
from tradingtools.runtime.keyed_workers import KeyedWorkers
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.redis import control_feed
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import (
    confirm_service_pb2 as confirm_pb,
)
from tradingtools.v1 import (
    confirm_service_pb2_grpc as confirm_rpc,
)
from tradingtools.v1 import (
    ingest_service_pb2 as ingest_pb,
)
from tradingtools.v1 import (
    ingest_service_pb2_grpc as ingest_rpc,
)
from tradingtools.v1 import (
    router_service_pb2_grpc as rpc,
)
from tradingtools.venues.insiders.order_body import order_body

SERVICE = "tradingtools.v1.RouterService"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the router until ``stop``."""
    name = f"router-{settings.partition}"
    async with composed("router", settings) as parts:
        pool = await parts.pool(size=4, by_index=True)
        # One is enough: claims go through one lock, and one backend has them planned and cached.
        claims = await parts.pool(
            "claims", size=1, prompt=True, planned_once=True, joined_by_keys=True
        )
        bus = parts.redis()
        await check_partitioning(pool, settings.partitions)
        owned = await parts.lease(pool, settings.partition)
        ingest: Any = ingest_rpc.IngestServiceStub(parts.channel(settings.ingest_target))
        bookfeed = parts.channel(settings.bookfeed_target, newest=True)
        confirm = confirm_rpc.ConfirmServiceStub(parts.channel(settings.confirm_target))
        tail = await claim_tail(pool, "router", settings.partition)
        books = Books(bookfeed, timeout_ms=settings.book_timeout_ms)
        recorder = _recorder(owned, settings)
        if recorder is not None:
            parts.stack.callback(recorder.close)
        router = Router(
            pool,
            owned,
            books,
            tail,
            settings,
            body_of=order_body,
            claims=claims,
            recorder=recorder,
        )
        # Before recovering: a predecessor that was frozen may still acknowledge what came after it.
        trades_from = await journal.acknowledged(pool, "leader_trades", name)
        fills_from = await journal.acknowledged(pool, "fills", name) or streams.BEGINNING
        await parts.recover(router.recover())
        leaders = LeaderSnapshot(bus, router.state)
        await leaders.load()
        servicer = RouterServicer(pool, tail, router, books)
        await parts.serve(
            settings.listen, [SERVICE], partial(rpc.add_RouterServiceServicer_to_server, servicer)
        )
        facts = Consumer(
            pool, "leader_trades", name, ingest_pb.StreamLeaderTradesResponse, router.on_message
        )
        acknowledge = await parts.stack.enter_async_context(streams.acknowledging(ingest, name))
        lanes = KeyedWorkers(facts, acknowledge, partial(_next, settings))
        backlog = Backlog("router", partial(_waited_ms, lanes), settings.backlog_ms)
        fills = Consumer(pool, "fills", name, confirm_pb.FillEvent, router.bookings.on_fill)
        await parts.run(
            stop,
            books.keep(),
            facts.replay(),
            fills.replay(),
            lanes.run(),
            _follow_ingest(lanes, router, ingest, name, trades_from),
            follow_fills(fills, confirm, name, fills_from),
            _follow_control(router, bus, settings.poll_ms),
            router.exits.run(),
            router.reevaluator.run(),
            router.deferred_entries.run(),
            router.follow_balances(),
            router.resyncs.run(),
            leaders.keep(),
            looks={health.BOOKFEED: health.known(lambda: not books.silent)},
            backlog=backlog,
        )


def _recorder(lease: Lease, settings: Settings) -> Recorder | None:
    directory = settings.shared.recording_dir
    return Recorder(Path(directory), lease, settings) if directory else None


async def _follow_ingest(
    lanes: KeyedWorkers[ingest_pb.StreamLeaderTradesResponse],
    router: Router,
    stub: Any,
    name: str,
    cursor: str,
) -> None:
    """Route each leader's trades in order; no leader waits for the followers of another."""
    while True:
        try:
            async for response in streams.read(
                "leader trades",
                lambda c: stub.StreamLeaderTrades(
                    ingest_pb.StreamLeaderTradesRequest(cursor=c, consumer=name)
                ),
                cursor,
            ):
                if response.trades:
                    router.expect(response)
                    # Acknowledged only after the commit; a crash here repeats the read.
                    await lanes.put(
                        _by_leader(response),
                        response.cursor,
                        size=len(response.trades),
                        since_ns=response.trades[0].received_ns,
                    )
        except CursorOutOfRange:
            # Another incarnation of Redis: ingest's catch-up finds what was missed, and what was
            # decided is in the database.
            cursor = ""


def _next(
    settings: Settings, waiting: Sequence[ingest_pb.StreamLeaderTradesResponse]
) -> Sequence[int]:
    """Return which of a leader's messages go next: all; in a backlog exits and the newest first."""
    waited_ms = (clock.now_ns() - waiting[0].trades[0].received_ns) // 1_000_000
    if waited_ms <= settings.backlog_ms or settings.backlog_order == "oldest":
        return range(len(waiting))
    return next_batch(
        [
            [TradeSummary(trade.asset_id, trade.side == pb.SIDE_SELL) for trade in message.trades]
            for message in waiting
        ]
    )


def _waited_ms(lanes: KeyedWorkers[ingest_pb.StreamLeaderTradesResponse]) -> int:
    since_ns = lanes.oldest_ns()
    return 0 if since_ns is None else (clock.now_ns() - since_ns) // 1_000_000


def _by_leader(
    response: ingest_pb.StreamLeaderTradesResponse,
) -> dict[str, ingest_pb.StreamLeaderTradesResponse]:
    found: dict[str, ingest_pb.StreamLeaderTradesResponse] = {}
    for trade in response.trades:
        chunk = found.setdefault(
            trade.leader, ingest_pb.StreamLeaderTradesResponse(cursor=response.cursor)
        )
        chunk.trades.append(trade)
    return found


async def _follow_control(router: Router, bus: redis.Redis, poll_ms: int) -> None:
    async for _ in control_feed.wake_ups(bus, poll_ms=poll_ms):
        await while_database_is_away(router.refresh_index)
        router.resyncs.wake()
        router.forget_old(clock.now_ms())
