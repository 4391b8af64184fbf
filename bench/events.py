"""Measure the lag and cost of the event log, and deliveries of webhooks: ``make bench-events``.

First behind the whole engine, which copies for a hundred followers (`bench.followed`). Then alone,
on a server of its own: rows are written as fast as so many orders would write them, and one reader
takes the time since each was committed. Then all of it is posted to endpoints of a receiver in this
process, whose share of the cores is told; some of them are bad.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import grpc
import psutil
import structlog
from aiohttp import web
from psycopg import AsyncConnection
from rich.console import Console

from bench import followed, report
from bench.machine import Watch
from launcher import temporary
from launcher.embedded import role_urls
from launcher.engine_tokens import engine_tokens
from launcher.ports import free_port
from tradingtools.rpc import callers, transport
from tradingtools.storage.postgres.migrate import migrate
from tradingtools.v1 import event_service_pb2 as events_pb
from tradingtools.v1 import event_service_pb2_grpc as events_rpc
from tradingtools.v1 import webhook_service_pb2 as hooks_pb
from tradingtools.v1 import webhook_service_pb2_grpc as hooks_rpc

_ROWS_OF_AN_ORDER = 5
"""Claim, placed, fill, position, settled."""
_START_SECONDS = 60.0
_WIDTH = 150
_BAD = ("dead", "slow", "redirect", "gone", "busy", "garbage")


class Processes:
    """The processes that are measured."""

    def __init__(self, database: str) -> None:
        self.ports = {name: free_port() for name in ("events", "webhooks")}
        tokens, self.operator = engine_tokens()
        self.edge = tokens["TT_EDGE_ENGINE_TOKEN"]
        self._environment = {
            "PATH": os.environ["PATH"],
            **{k: v for k, v in os.environ.items() if k.startswith("TT_EVENTS_")},
            "TT_DATABASE_URL": database,
            **role_urls(database),
            **tokens,
            "TT_WEBHOOKS_EVENTS_TARGET": f"127.0.0.1:{self.ports['events']}",
            "TT_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
            **{f"TT_{n.upper()}_LISTEN": f"127.0.0.1:{p}" for n, p in self.ports.items()},
        }

    @contextmanager
    def running(self, name: str) -> Iterator[psutil.Process]:
        """A process, until the block ends."""
        started = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-m", f"services.{name}"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait()

    @asynccontextmanager
    async def channel(self, name: str, token: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel that is ready."""
        async with transport.channel(f"127.0.0.1:{self.ports[name]}") as channel:
            async with asyncio.timeout(_START_SECONDS):
                await channel.channel_ready()
            yield transport.showing(channel, ((callers.HEADER, token),))


async def write(
    database: str, orders_a_second: int, seconds: int, committed: dict[str, int]
) -> int:
    """Write rows evenly; note when each was committed. Returns how many there were."""
    count = 0
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        started = time.monotonic()
        while (past := time.monotonic() - started) < seconds:
            desired = int(past * orders_a_second * _ROWS_OF_AN_ORDER)
            while count < desired:
                cursors = [str(count + place) for place in range(_ROWS_OF_AN_ORDER)]
                async with connection.transaction(), connection.cursor() as cursor:
                    await cursor.executemany(
                        "insert into dead_letter (stream, consumer, cursor, reason, payload)"
                        " values ('bench', 'bench', %s, 'bench', '')",
                        [(text,) for text in cursors],
                    )
                now = time.time_ns()
                committed.update(dict.fromkeys(cursors, now))
                count += _ROWS_OF_AN_ORDER
            await asyncio.sleep(0.005)
    return count


def percentile(values: list[float], share: float) -> float:
    """The value below which so many are."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def lag(processes: Processes, database: str, orders: int, seconds: int) -> None:
    """Measure the log alone."""
    committed: dict[str, int] = {}
    seen: dict[str, int] = {}
    with processes.running("events") as events:
        async with processes.channel("events", processes.operator) as channel:
            stub = events_rpc.EventServiceStub(channel)
            call = stub.StreamEvents(events_pb.StreamEventsRequest(cursor="0"))

            async def follow() -> None:
                async for response in call:
                    now = time.time_ns()
                    for event in response.events:
                        if event.type == "message.quarantined":
                            seen[event.data.split('"cursor":"')[1].split('"')[0]] = now

            following = asyncio.create_task(follow())
            await asyncio.sleep(3)
            idle = events.cpu_times()
            await asyncio.sleep(5)
            before = events.cpu_times()
            count = await write(database, orders, seconds, committed)
            await _until(lambda: len(seen) >= count)
            after = events.cpu_times()
            following.cancel()
    late = [(seen[text] - at) / 1e6 for text, at in committed.items()]
    _say(
        f"log: {count / seconds:.0f} rows a second ({orders} orders);"
        f" commit to reader p50 {percentile(late, 0.5):.1f} ms,"
        f" p99 {percentile(late, 0.99):.1f} ms;"
        f" {_busy(before, after) / seconds:.1%} of a core, idle {_busy(idle, before) / 5:.1%}"
    )


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a figure to one part in a hundred is enough
        await asyncio.sleep(0.05)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _busy(before: object, after: object) -> float:
    spent = [float(getattr(after, k)) - float(getattr(before, k)) for k in ("user", "system")]
    return sum(spent)


@dataclass(slots=True)
class Receiver:
    """Receivers of all endpoints; what a bad one does, its path says."""

    port: int
    received: int = 0
    """By the good ones."""

    async def take(self, request: web.Request) -> web.Response:
        """Take a message, or behave badly."""
        kind = request.path.split("/")[1]
        if kind == "slow":
            await asyncio.sleep(3600)
        if kind == "redirect":
            raise web.HTTPTemporaryRedirect("/good/0")
        if kind == "busy":
            return web.Response(status=429, headers={"Retry-After": "1"})
        if kind == "garbage" and request.transport is not None:
            request.transport.write(b"\x00\xffHTTP/9 yes\r\n\x01\r\n" * 100)
            request.transport.close()
        self.received += kind == "good"
        return web.Response(status=410 if kind == "gone" else 204)

    def url(self, number: int, bad: int) -> str:
        """The URL of an endpoint; the first ones are bad."""
        kind = _BAD[number % len(_BAD)] if number < bad else "good"
        return f"http://127.0.0.1:{1 if kind == 'dead' else self.port}/{kind}/{number}"


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Receivers that listen."""
    made = Receiver(free_port())
    app = web.Application()
    app.router.add_post("/{tail:.*}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    try:
        yield made
    finally:
        await runner.cleanup()


async def hooks(processes: Processes, database: str, endpoints: int, events: int, bad: int) -> None:
    """Measure deliveries: all of the log, to each endpoint that is good."""
    good = endpoints - bad
    with processes.running("events"), processes.running("webhooks") as process:
        async with receiving() as to, processes.channel("webhooks", processes.edge) as channel:
            stub = hooks_rpc.WebhookServiceStub(channel)
            for number in range(endpoints):
                request = hooks_pb.CreateWebhookEndpointRequest(
                    url=to.url(number, bad), types=["message.*"]
                )
                await stub.CreateWebhookEndpoint(request)
            memory, before = process.memory_info().rss, process.cpu_times()
            own = psutil.Process().cpu_times()
            started = time.monotonic()
            rate = max(events // 10 // _ROWS_OF_AN_ORDER, 1)
            count = await write(database, rate, 10, {})
            await _until(lambda: to.received >= count * good)
            past = time.monotonic() - started
            _say(
                f"webhooks: {to.received} deliveries to {good} endpoints beside {bad} bad ones in"
                f" {past:.1f} s, {to.received / past:.0f} a second;"
                f" {_busy(before, process.cpu_times()) / past:.0%} of a core, receiver and writer"
                f" {_busy(own, psutil.Process().cpu_times()) / past:.0%};"
                f" memory {memory / 1e6:.0f} to {process.memory_info().rss / 1e6:.0f} MB"
            )


async def _measure(database: str, requested: argparse.Namespace) -> None:
    processes = Processes(database)
    await lag(processes, database, requested.orders, requested.seconds)
    if requested.endpoints:
        await hooks(processes, database, requested.endpoints, requested.events, requested.bad)


def _copies(requested: argparse.Namespace) -> None:
    console = Console(highlight=False, width=_WIDTH)
    watch = Watch()
    figures = asyncio.run(
        followed.measure(requested.followers, requested.seconds, requested.turns, console.print)
    )
    console.print(report.sheet("copies, and the log behind them", figures))
    console.print(watch.said())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100, help="a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--endpoints", type=int, default=100)
    parser.add_argument("--events", type=int, default=200, help="that each endpoint gets")
    parser.add_argument("--bad", type=int, default=10, help="of the endpoints")
    parser.add_argument("--followers", type=int, default=100, help="of the copies; 0: none")
    parser.add_argument("--turns", type=int, default=10, help="of copies without the log, and with")
    requested = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if requested.followers:
        _copies(requested)
    with temporary.temporary_postgres() as server:
        database = temporary.create_database(server)
        migrate(database)
        asyncio.run(_measure(database, requested))


if __name__ == "__main__":
    main()
