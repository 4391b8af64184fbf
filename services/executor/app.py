"""Composition of the executor: stores and venues in, worker and servicer out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from services.executor import claim_reader, store
from services.executor.collar import Collar
from services.executor.core.pre_trade_limits import Limits, PreTradeLimits
from services.executor.quotes import Quotes
from services.executor.recorder import STATES, Recorder
from services.executor.server import ExecutorServicer
from services.executor.settings import Settings
from services.executor.worker import Executor
from tradingtools.domain.money import MICROS
from tradingtools.rpc import streams
from tradingtools.runtime import health
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.composition import composed
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import executor_service_pb2 as pb
from tradingtools.v1 import executor_service_pb2_grpc as rpc
from tradingtools.v1 import guard_service_pb2 as guard_pb
from tradingtools.v1 import guard_service_pb2_grpc as guard_rpc
from tradingtools.v1 import router_service_pb2 as router_pb
from tradingtools.v1 import router_service_pb2_grpc as router_rpc
from tradingtools.venues.insiders.order_gateway import open_client

SERVICE = "tradingtools.v1.ExecutorService"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the executor until ``stop``."""
    name = f"executor-{settings.partition}"
    async with composed("executor", settings) as parts:
        pool = await parts.pool(size=6, planned_once=True, joined_by_keys=True)
        # One is enough: the SUBMITTING commits of a partition come one after the other.
        submitting = await parts.pool(
            "submitting", size=1, prompt=True, planned_once=True, joined_by_keys=True
        )
        client = await parts.stack.enter_async_context(
            open_client(
                settings.insiders_url,
                settings.insiders_token,
                limit=settings.insiders_connections,
                warm=settings.insiders_warm,
                idle_ms=settings.insiders_idle_ms,
            )
        )
        orders: Any = router_rpc.RouterServiceStub(parts.channel(settings.router_target))
        exits: Any = guard_rpc.GuardServiceStub(parts.channel(settings.guard_target))
        quotes = Quotes(parts.channel(settings.bookfeed_target, newest=True))
        owned = await parts.lease(pool, settings.partition)
        collar = _collar(settings, quotes)
        executor = Executor(
            pool,
            owned,
            client,
            settings,
            PreTradeLimits(_limits(settings)),
            submitting=submitting,
            collar=collar,
        )
        backlog = Backlog("executor", executor.waited_ms, settings.backlog_ms)
        await parts.recover(executor.recover())
        # Everything up to here is rows, and what is still CLAIMED is found by polling; the streams
        # begin after it, so that nothing of an earlier life is read twice.
        start = str((await store.fetch(pool, "last_record"))[0]["seq"])
        tail = await _event_tail(pool)
        executor.recorder = Recorder(pool, owned, tail, executor.queue.done, executor.queue.release)
        servicer = ExecutorServicer(pool, tail)
        await parts.serve(
            settings.listen, [SERVICE], partial(rpc.add_ExecutorServiceServicer_to_server, servicer)
        )
        await parts.run(
            stop,
            *(() if collar is None else (quotes.keep(),)),
            executor.recorder.run(),
            executor.submit(),
            executor.queue.poll(),
            executor.send_again(),
            executor.breaker.watch(settings.poll_ms / 1000),
            claim_reader.read_claims(
                executor.queue,
                "orders",
                lambda c: orders.StreamOrders(
                    router_pb.StreamOrdersRequest(cursor=c, consumer=name)
                ),
                start,
                acknowledge=(orders, name),
            ),
            claim_reader.read_claims(
                executor.queue,
                "exits",
                lambda c: exits.StreamExits(guard_pb.StreamExitsRequest(cursor=c, consumer=name)),
                start,
                acknowledge=(exits, name),
            ),
            looks={health.INSIDERS: health.known(lambda: executor.breaker.closed)},
            backlog=backlog,
        )


def _collar(settings: Settings, quotes: Quotes) -> Collar | None:
    if settings.collar_cents is None:
        return None
    return Collar(quotes, settings.collar_cents * MICROS // 100, settings.exit_collar_ms)


def _limits(settings: Settings) -> Limits:
    def micros(usdc: int | None) -> int | None:
        return None if usdc is None else usdc * MICROS

    return Limits(
        order_notional_micros=micros(settings.order_usdc_max),
        wallet_minute_micros=micros(settings.wallet_minute_usdc_max),
        market_minute_micros=micros(settings.market_minute_usdc_max),
        minute_micros=micros(settings.minute_usdc_max),
        orders_per_minute=settings.orders_per_minute_max,
    )


async def _event_tail(pool: Pool) -> streams.Tail[pb.OrderEvent]:
    async def load(after: int, limit: int) -> list[tuple[int, pb.OrderEvent]]:
        rows = await store.fetch(pool, "events_after", after=after, limit=limit)
        return [
            (
                row["event_seq"],
                pb.OrderEvent(
                    event_seq=row["event_seq"],
                    order_key=row["order_key"],
                    state=STATES[row["to_state"]],
                    reason=row["reason"],
                    venue_order_id=row["venue_order_id"],
                    occurred_ns=row["occurred_ns"],
                    traceparent=row["traceparent"],
                    answer=row["detail"] or b"",
                ),
            )
            for row in rows
        ]

    return streams.Tail((await store.fetch(pool, "last_event"))[0]["seq"], load)
