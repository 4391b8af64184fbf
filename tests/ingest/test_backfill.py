"""Catch-up and a feed that says nothing, with a real process: live trades first, none missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.ingest.fake import Fake, fake_venue, frame
from tests.ingest.harness import Process, running, until, until_health
from tests.ingest.world import LEADER, OTHER, Tail, connected, follow, pointing_at, row
from tradingtools.v1 import common_pb2, ingest_service_pb2, ingest_service_pb2_grpc
from tradingtools.v1.ingest_service_pb2 import LeaderTradeEvent

NAME = "router-0"
SELDOM = {"TT_INGEST_POLL_MS": "600000", "TT_INGEST_RECHECK_MS": "600000"}
FEED = ingest_service_pb2.TRADE_SOURCE_FEED
CATCH_UP = ingest_service_pb2.TRADE_SOURCE_CATCH_UP


class Router:
    """A named reader, which reads on and handles what it has read when it is let."""

    def __init__(self) -> None:
        self.events: list[LeaderTradeEvent] = []
        self.handles = asyncio.Event()
        self._cursor = ""

    @asynccontextmanager
    async def reading(self, process: Process) -> AsyncIterator[None]:
        task = asyncio.create_task(self._read(process))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, process: Process) -> None:
        async with (
            grpc.aio.insecure_channel(process.target) as channel,
            asyncio.TaskGroup() as group,
        ):
            stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
            requested = ingest_service_pb2.StreamLeaderTradesRequest(consumer=NAME)
            group.create_task(self._acknowledge(stub))
            async for response in stub.StreamLeaderTrades(requested):
                self.events += response.trades
                self._cursor = response.cursor

    async def _acknowledge(self, stub: Any) -> None:
        acknowledged = ""
        while True:
            await asyncio.sleep(0.01)
            await self.handles.wait()
            if self._cursor != acknowledged:
                acknowledged = self._cursor
                await stub.Acknowledge(
                    common_pb2.AcknowledgeRequest(consumer=NAME, cursor=acknowledged)
                )

    async def reported(self, number: int) -> list[int]:
        """The transactions told by the time this one is."""

        async def poll() -> bool:
            return number in self.numbers

        await until(poll)
        return self.numbers

    @property
    def numbers(self) -> list[int]:
        return [int(event.leader_tx, 16) for event in self.events]


def rows(first: int, count: int, **changes: Any) -> list[dict[str, Any]]:
    """Trades of the last minutes, newest first."""
    now = time.time_ns() // 10**9
    return [row(first + n, timestamp=now - n // 20, **changes) for n in range(count)]


async def test_live_trade_is_published_before_a_catch_ups_rows(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER, OTHER)
    router, known = Router(), 1_200
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake), **SELDOM}
        router.handles.set()
        async with running("ingest", at, tmp_path) as process, router.reading(process):
            await until(lambda: connected(fake, 2))
            reported = rows(0x1000, known)
            for one in reported:
                await fake.send(frame(one), 0)

            async def all_reported() -> bool:
                return len(router.events) == known

            await until(all_reported)
            # What the feed has told, and as many that it has kept to itself: a gap has them found.
            fresh = rows(0x10000, known)
            fake.trades = sorted(reported + fresh, key=lambda one: -one["timestamp"])
            router.handles.clear()
            await fake.sockets[1].close()

            async def some_found() -> bool:
                return len(router.events) > known

            await until(some_found)
            # The router is at the first of them; whoever trades now does not wait for the rest.
            await fake.send(frame(row(0xABC, proxy_wallet=OTHER)), 0)
            assert len(await router.reported(0xABC)) < known + 100
            router.handles.set()

            async def everything() -> bool:
                return len(set(router.numbers)) == 2 * known + 1

            await until(everything)
    sources = {
        number: event.source for number, event in zip(router.numbers, router.events, strict=True)
    }
    assert len(router.events) == 2 * known + 1, "told once"
    assert {sources[one] for one in range(0x1000, 0x1000 + known)} == {FEED}
    assert {sources[one] for one in range(0x10000, 0x10000 + known)} == {CATCH_UP}


async def test_backfill_pending_at_a_kill_is_published_by_the_next(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    router, tail, count = Router(), Tail(), 200
    async with fake_venue() as fake:
        fake.trades = rows(0x1000, count)
        at = {**environ, **pointing_at(fake), **SELDOM}
        async with running("ingest", at, tmp_path) as process, router.reading(process):

            async def some() -> bool:
                return bool(router.events)

            await until(some)
            process.kill()
            await process.wait()
        assert len(set(router.numbers)) < count
        async with running("ingest", at, tmp_path) as process, tail.reading(process):

            async def everything() -> bool:
                return len({event.leader_tx for event in tail.events}) == count

            await until(everything)


async def of_another_topic(fake: Fake) -> None:
    """Have the feed tell strangers' trades under a name that nobody knows, for ever."""
    renamed = frame(row(0xF00, proxy_wallet="0x" + "c3" * 20)).replace("activity", "activity_v2")
    while True:
        await fake.send(renamed)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("feed", ["silent", "refused", "renamed"])
async def test_leaders_are_polled_and_published_without_the_feed(
    environ: dict[str, str], database_url: str, tmp_path: Path, feed: str
) -> None:
    follow(database_url, LEADER, OTHER)
    tail = Tail()
    async with fake_venue() as fake:
        at = {
            **environ,
            **pointing_at(fake),
            **SELDOM,
            "TT_INGEST_POLLING_AFTER_MS": "300",
        }
        if feed == "refused":
            at["TT_INGEST_RTDS_URL"] = "ws://127.0.0.1:1/rtds"
        noise = asyncio.create_task(of_another_topic(fake)) if feed == "renamed" else None
        async with running("ingest", at, tmp_path) as process, tail.reading(process):

            async def polls() -> bool:
                return "leaders are polled in turn" in process.log.read_text()

            await until(polls)
            for number, leader in ((1, LEADER), (2, OTHER), (3, LEADER)):
                fake.trades.insert(0, row(number, proxy_wallet=leader))
                (event,) = await tail.of_tx(number)
                assert (event.leader, event.source) == (leader, CATCH_UP)

            async def called() -> bool:
                return "no socket of the feed speaks; copies come late" in process.log.read_text()

            await until(called)
            if feed == "refused":
                return
            if noise is not None:
                await until_health(process.target, {"venue-answers": "NOT_SERVING"})
                noise.cancel()
            # It speaks again: what it tells is told, and nobody is polled any more.
            await fake.send(frame(row(4)))
            await tail.of_tx(4)

            async def rests() -> bool:
                await fake.send(frame(row(4)))
                before = len(fake.requested)
                await asyncio.sleep(0.2)
                await fake.send(frame(row(4)))
                return len(fake.requested) == before

            await until(rests)
