"""Throughput of the copy path over processes and over followers.

Routers and executors are divided by follower wallet: each router sees every leader trade and claims
for its own wallets, each executor sends what its router has claimed. Between one ingest, one
bookfeed and the bench's venue gateway they work off a burst of trades; nothing is booked meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import psycopg

from bench import alone, feed, gateway, silence, system
from bench.core.sheet import Figure
from bench.feed import Asset, Feed
from bench.gateway import Gateway
from bench.system import SQL, BenchError
from tradingtools.rpc import transport

_PROCESSES = (1, 2, 4)
_FOLLOWERS = (100, 1_000)
_USUAL_FOLLOWERS = 300
_ORDERS = 3_000
_LEADER = f"0x{1:040x}"
_WARM_UP = 2
_POSTS_SECONDS = 120.0
_READERS = 2
_CONNECT_SECONDS = 60.0
_TTL_MS = "120000"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """One point of the curve."""

    processes: int
    """Routers, and executors."""
    followers: int

    @property
    def under(self) -> str:
        return f"{self.processes} x router and executor, {self.followers} followers"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    orders_a_second: float
    cpu_ms_an_order: float
    """Of routers and executors."""


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own. Raises BenchError."""
    orders = max(100, int(_ORDERS * factor))
    points = [_Point(processes=n, followers=_USUAL_FOLLOWERS) for n in _PROCESSES]
    points += [_Point(processes=1, followers=n) for n in _FOLLOWERS]
    figures: list[Figure] = []
    for point in points:
        say(point.under)
        found = await _measure(point, max(1, orders // point.followers))
        figures += [
            Figure(what="orders", under=point.under, value=found.orders_a_second, unit="a second"),
            Figure(
                what="routers and executors", under=point.under, value=found.cpu_ms_an_order,
                unit="ms of a core an order",
            ),
        ]  # fmt: skip
    return figures


async def _measure(point: _Point, trades: int) -> _Found:
    async with AsyncExitStack() as stack:
        stores = stack.enter_context(alone.stores())
        venue = stack.enter_context(system.venue())
        side = await stack.enter_async_context(gateway.serving())
        source = await stack.enter_async_context(feed.serving())
        asset, _ = await asyncio.to_thread(system.tradable, venue.at)
        desired = {"leader": _LEADER, "followers": point.followers}
        await asyncio.to_thread(_subscribe, stores.database_url, desired)
        dividing = await _start(stack, point, stores, venue, source.port, side.port)
        await source.connected(_READERS, _CONNECT_SECONDS)
        for _ in range(_WARM_UP):
            await _burst(source, side, asset, 1, point.followers)
        used, started = _used(dividing), time.monotonic()
        await _burst(source, side, asset, trades, point.followers)
        seconds, orders = time.monotonic() - started, trades * point.followers
        return _Found(
            orders_a_second=orders / seconds,
            cpu_ms_an_order=(_used(dividing) - used) * 1000 / orders,
        )


def _subscribe(database_url: str, desired: dict[str, Any]) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(SQL["followers"], desired)


def _used(processes: Sequence[alone.Process]) -> float:
    return sum(process.cpu_seconds for process in processes)


async def _burst(source: Feed, side: Gateway, asset: Asset, trades: int, followers: int) -> None:
    orders = trades * followers
    side.arrivals.expect(orders)
    await source.send([feed.frame(_LEADER, asset) for _ in range(trades)])
    try:
        await side.arrivals.complete(_POSTS_SECONDS)
    except TimeoutError:
        raise BenchError(f"{side.arrivals.count} of {orders} POSTs came") from None


async def _start(
    stack: AsyncExitStack,
    point: _Point,
    stores: alone.Stores,
    venue: system.Venue,
    feed_port: int,
    far_port: int,
) -> list[alone.Process]:
    """Everything that a copy passes; the processes that are divided."""

    async def process(name: str, settings: dict[str, str]) -> alone.Process:
        return await stack.enter_async_context(alone.process(name, stores, settings))

    served = await stack.enter_async_context(transport.serving("127.0.0.1:0", [], silence.register))
    nothing = f"127.0.0.1:{served.port}"
    ingest = await process(
        "ingest",
        {"RTDS_URL": f"ws://127.0.0.1:{feed_port}", "DATA_API_URL": f"http://{venue.at}/data"},
    )
    bookfeed = await process(
        "bookfeed",
        {
            "CLOB_WS_URL": f"ws://{venue.at}/clob/ws/market",
            "CLOB_URL": f"http://{venue.at}/clob",
            "GAMMA_URL": f"http://{venue.at}/gamma",
        },
    )
    divided = []
    for number in range(point.processes):
        router = await process(
            "router",
            {
                "INGEST_TARGET": ingest.target,
                "BOOKFEED_TARGET": bookfeed.target,
                "CONFIRM_TARGET": nothing,
                "PARTITION": str(number),
                "PARTITIONS": str(point.processes),
                "ENTRY_TTL_MS": _TTL_MS,
            },
        )
        executor = await process(
            "executor",
            {
                "ROUTER_TARGET": router.target,
                "GUARD_TARGET": nothing,
                "INSIDERS_URL": f"http://127.0.0.1:{far_port}",
                "PARTITION": str(number),
            },
        )
        divided += [router, executor]
    return divided
