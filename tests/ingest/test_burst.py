"""More leader trades at once than memory holds reach every reader, whatever Redis does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto
from itertools import chain, repeat
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as ConnectionLost
from structlog.testing import capture_logs

from services.ingest import publisher as publishing
from services.ingest.core.merge import Fact
from services.ingest.core.sequence import entry_id
from services.ingest.publisher import IncarnationLost, Publisher
from tests.ingest.harness import until
from tests.ingest.rows import row
from tradingtools.domain.errors import CursorOutOfRange, Unavailable
from tradingtools.rpc.streams import Tail
from tradingtools.storage.redis.leader_log import INCARNATION, STREAM, LeaderLog
from tradingtools.tasks import cancel_all

BURST = 6_000
BOUND_SECONDS = 20.0


class Whim(Enum):
    """The fault of one command to Redis."""

    PROMPT = auto()
    SLOW = auto()
    AWAY = auto()
    HALVED = auto()
    """It gets the first half of what it is to write, and goes away."""
    UNHEARD = auto()
    """It does what it is told, and nobody hears of it."""


class Fitful(LeaderLog):
    """The log on a real server, each command to which meets a whim."""

    def __init__(self, client: redis.Redis, whims: Iterable[Whim]) -> None:
        super().__init__(client, length=100_000, key=b"ours")
        self._whims = chain(whims, repeat(Whim.PROMPT))

    async def append(self, entries: Sequence[tuple[str, bytes]]) -> None:
        whim = await self._next()
        await super().append(entries[: len(entries) // 2] if whim is Whim.HALVED else entries)
        if whim in (Whim.HALVED, Whim.UNHEARD):
            raise ConnectionLost("reset by the test")

    async def load(self, after: str, limit: int) -> list[tuple[str, bytes | None]]:
        whim = await self._next()
        found = await super().load(after, limit)
        if whim in (Whim.HALVED, Whim.UNHEARD):
            raise ConnectionLost("reset by the test")
        return found

    async def _next(self) -> Whim:
        whim = next(self._whims)
        if whim is Whim.SLOW:
            await asyncio.sleep(0.005)
        if whim is Whim.AWAY:
            raise ConnectionLost("away for the test")
        return whim


@asynccontextmanager
async def publishing_to(url: str, whims: Iterable[Whim]) -> AsyncIterator[Publisher]:
    """A publisher that writes to an empty log."""
    async with redis.Redis.from_url(url) as client:
        await client.delete(STREAM)
        publisher = Publisher(Fitful(client, whims), "0" * 16, 0)
        writing = asyncio.create_task(publisher.write_log())
        try:
            yield publisher
        finally:
            await cancel_all([writing])


def facts(first: int, count: int) -> list[Fact]:
    return [
        Fact(row=row(number), count=1, source="CATCH_UP", held_before=None, traceparent="")
        for number in range(first, first + count)
    ]


async def read(publisher: Publisher, last: int) -> list[int]:
    """The numbers of the transactions that a reader of everything is told, up to one of them."""
    seen: list[int] = []
    after = 0
    async with asyncio.timeout(BOUND_SECONDS):
        while last not in seen[-1:]:
            try:
                async for reached, events in publisher.tail.follow(after):
                    after = reached
                    seen += [int(event.leader_tx, 16) for event in events if event.leader_tx]
                    if last in seen[-1:]:
                        break
            except Unavailable:
                await asyncio.sleep(0.001)
    return seen


@pytest.mark.parametrize("whim", Whim)
async def test_a_burst_larger_than_memory_reaches_a_reader_whole(
    own_redis: str, whim: Whim
) -> None:
    # What Redis does at the burst, not before; one that is away stays so until it was read.
    whims = chain([Whim.PROMPT], repeat(whim, 1_000 if whim is Whim.AWAY else 3))
    async with publishing_to(own_redis, whims) as publisher:
        publisher.publish(facts(0, 1), 1)
        assert await read(publisher, 0) == [0]
        reader = asyncio.create_task(read(publisher, BURST))
        await asyncio.sleep(0)
        publisher.publish(facts(1, BURST), 1)
        assert await reader == list(range(BURST + 1))


whims = st.lists(st.sampled_from(Whim), max_size=30)
bursts = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0, 0, 0.001, 0.01])), max_size=8)


@settings(max_examples=20, deadline=None)
@given(whims, bursts, st.integers(1, 12), st.integers(1, 7))
async def test_every_reader_is_told_everything_once_in_order(
    redis_url: str, whims: list[Whim], bursts: list[tuple[int, float]], capacity: int, batch: int
) -> None:
    total = sum(count for count, _ in bursts) + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "_BATCH", batch)
        patch.setattr(publishing, "_RETRY_SECONDS", 0.001)
        async with publishing_to(redis_url.rsplit("/", 1)[0] + "/8", whims) as publisher:
            publisher.tail = Tail(0, publisher._load, capacity=capacity)
            readers = [asyncio.create_task(read(publisher, total - 1))]
            reported = 0
            for count, pause in [*bursts, (1, 0.0)]:
                publisher.publish(facts(reported, count), 1)
                reported += count
                await asyncio.sleep(pause)
                readers.append(asyncio.create_task(read(publisher, total - 1)))
            for seen in await asyncio.gather(*readers):
                assert seen == list(range(total))


class Held(Fitful):
    """The log, which takes a batch and lets an answer arrive when the test says so."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client, ())
        self.batches = asyncio.Semaphore(0)
        self.answered, self.arrives = asyncio.Event(), asyncio.Event()

    async def append(self, entries: Sequence[tuple[str, bytes]]) -> None:
        await self.batches.acquire()
        await super().append(entries)

    async def load(self, after: str, limit: int) -> list[tuple[str, bytes | None]]:
        found = await super().load(after, limit)
        self.answered.set()
        await self.arrives.wait()
        return found


async def test_rows_written_during_an_answer_are_not_skipped(
    own_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_BATCH", 3)
    async with publishing_to(own_redis, ()) as publisher, redis.Redis.from_url(own_redis) as client:
        log = publisher._log = Held(client)
        publisher.tail = Tail(0, publisher._load, capacity=1)
        publisher.publish(facts(1, 9), 1)

        async def waiting(count: int) -> bool:
            return len(publisher._pending) == count

        log.batches.release()
        await until(lambda: waiting(6))
        reader = asyncio.create_task(read(publisher, 9))
        await log.answered.wait()
        log.batches.release()
        await until(lambda: waiting(3))
        log.arrives.set()
        assert await reader == list(range(1, 10))


@pytest.mark.parametrize("taken", [0, 3])
async def test_entry_displaced_by_a_foreign_one_is_republished(
    own_redis: str, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(publishing, "_BATCH", 3)
    async with publishing_to(own_redis, ()) as publisher, redis.Redis.from_url(own_redis) as client:
        log = publisher._log = Held(client)
        log.arrives.set()
        publisher.publish(facts(1, 9), 1)
        for _ in range(taken // 3):
            log.batches.release()

        async def waiting(count: int) -> bool:
            return len(publisher._pending) == count

        await until(lambda: waiting(9 - taken))
        stranger = publisher.tail.last + 10**9
        await client.xadd(STREAM, {"x": "y"}, id=entry_id(stranger))
        for _ in range(9):
            log.batches.release()
        await until(lambda: waiting(0))
        # What this life has in memory, and what the next one will find.
        for tail in (publisher.tail, Tail(publisher.tail.last, publisher._load)):
            publisher.tail = tail
            assert list(dict.fromkeys(await read(publisher, 9))) == list(range(1, 10))


async def test_an_id_that_is_nobodys_does_not_end_the_watch(
    own_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_CHECK_SECONDS", 0.001)
    async with redis.Redis.from_url(own_redis) as client:
        log = LeaderLog(client, length=1_000, key=b"ours")
        publisher = Publisher(log, await log.incarnation(), 0)
        await client.xadd(STREAM, {"x": "y"}, id=f"{2**64 - 1}-0")
        looked, last = asyncio.Semaphore(0), log.last

        async def noticed() -> str:
            looked.release()
            return await last()

        monkeypatch.setattr(log, "last", noticed)
        watching = asyncio.create_task(publisher.watch_incarnation())
        for _ in range(3):
            await looked.acquire()
        await client.delete(INCARNATION)
        with pytest.raises(IncarnationLost):
            await watching


async def test_reader_slower_than_the_log_is_refused_and_skips_nothing(
    own_redis: str,
) -> None:
    async with publishing_to(own_redis, ()) as publisher, redis.Redis.from_url(own_redis) as client:
        publisher._log = LeaderLog(client, length=10, key=b"ours")
        publisher.tail = Tail(0, publisher._load, capacity=1)
        publisher.publish(facts(0, 1), 1)
        slow = publisher.tail.follow(0)
        await anext(slow)
        publisher.publish(facts(1, 1_000), 1)

        async def written() -> bool:
            return not publisher._pending

        await until(written)
        with pytest.raises(CursorOutOfRange):
            await anext(slow)
        # Who begins anew begins where the log does.
        assert (await anext(publisher.tail.follow(0)))[1]


async def test_pages_of_ids_that_are_nobodys_hide_nothing_behind_them(own_redis: str) -> None:
    async with publishing_to(own_redis, ()) as publisher, redis.Redis.from_url(own_redis) as client:
        publisher.publish(facts(1, 1), 1)

        async def written() -> bool:
            return not publisher._pending

        await until(written)
        ms, _, _ = entry_id(publisher.tail.last).partition("-")
        for number in range(250):
            await client.xadd(STREAM, {"x": "y"}, id=f"{ms}-{2**40 + number}")
        publisher.publish(facts(2, 1), 1)
        await until(written)
        publisher.tail = Tail(publisher.tail.last, publisher._load)
        assert list(dict.fromkeys(await read(publisher, 2))) == [1, 2]


async def test_what_was_dropped_is_not_passed_over_in_silence(
    own_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_PENDING_MAX", BURST - 1_000)
    async with publishing_to(own_redis, repeat(Whim.AWAY)) as publisher:
        publisher.publish(facts(1, BURST), 1)
        with capture_logs() as logs:
            assert await read(publisher, BURST) == list(range(1_001, BURST + 1))
            assert passed_over(logs) == 1
            # Who has read everything misses nothing of what comes.
            newest = publisher.tail.follow(publisher.tail.last)
            publisher.publish(facts(BURST + 1, 1), 1)
            _, events = await anext(newest)
            assert [int(event.leader_tx, 16) for event in events] == [BURST + 1]
            assert passed_over(logs) == 1


def passed_over(logs: Sequence[Any]) -> int:
    return sum(
        entry["event"] == "a reader passes over leader trades that were dropped"
        and entry["log_level"] == "error"
        for entry in logs
    )
