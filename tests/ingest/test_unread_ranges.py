"""More trades than one walk of the Data API reads: the newest are told first, none is left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest
import redis.asyncio as redis
from structlog.testing import capture_logs

from services.ingest.backfill import Backfill
from services.ingest.catch_up import CatchUp
from services.ingest.core.announcements import Announcements
from services.ingest.core.merge import Merger
from services.ingest.core.sequence import Incarnation, from_entry_id
from services.ingest.equity import Equity
from services.ingest.publisher import Publisher
from services.ingest.rejects import Rejects
from services.ingest.server import IngestServicer
from services.ingest.settings import Settings
from services.ingest.store import Store
from tests.ingest.fake import Fake, fake_venue
from tests.ingest.world import LEADER, row
from tradingtools.domain.errors import CursorOutOfRange
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.storage.redis.leader_log import LeaderLog
from tradingtools.v1.ingest_service_pb2 import StreamLeaderTradesRequest
from tradingtools.venues.polymarket import data_api
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http, open_client

NOW = time.time_ns() // 10**9


class Walker:
    """A catch-up whose looks are taken one by one."""

    def __init__(
        self, catch_up: CatchUp, publisher: Publisher, store: Store, database_url: str
    ) -> None:
        self.catch_up = catch_up
        self.store = store
        self.publisher = publisher
        self._database_url = database_url
        self._after = 0

    async def poll(self) -> list[tuple[int, int]]:
        """Return what is told after one look: transactions and counts."""
        await self.catch_up._poll(LEADER)
        reported = [(at, event) for at, event in self.publisher.tail._items if at > self._after]
        self._after = self.publisher.tail.last
        return [(int(event.leader_tx, 16), event.count) for _, event in reported]

    async def has_written(self, entries: list[str]) -> None:
        """The log, which is half as long, is one of a life before this one."""
        await self.publisher._log.append([(entry, b"") for entry in entries])
        last = self.publisher._written_to = from_entry_id(entries[-1])
        self.publisher.tail = Tail(last, self.publisher._load)

    def begins_here(self) -> bool:
        """Return whether the next life looks no further back than to this look."""
        with psycopg.connect(self._database_url) as connection:
            return connection.execute("select from leader_account").fetchone() is not None


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fake]:
    monkeypatch.setattr(data_api, "PAGE", 2)
    monkeypatch.setattr(data_api, "PAGES_MAX", 2)
    async with fake_venue() as fake:
        yield fake


@asynccontextmanager
async def walking(
    fake: Fake, environ: dict[str, str], *, keep_ms: int = 600_000
) -> AsyncIterator[Walker]:
    async with (
        open_pool(environ["TT_DATABASE_URL"], name="test") as pool,
        open_client(timeout_ms=5_000, connections=2) as client,
        redis.Redis.from_url(environ["TT_REDIS_URL"]) as log,
    ):
        store, telling = Store(pool), Announcements()
        merger = Merger(keep_ms=keep_ms, forgotten=telling.forget)
        publisher = Publisher(LeaderLog(log, length=1_000, key=b"ours"), "0" * 16, 0)
        api = DataApi(Http(client, f"http://{fake.url}", name="data api"))
        catch_up = CatchUp(
            Settings(overlap_ms=1_000, catch_up_ms=3_600_000),
            api,
            store,
            merger,
            Backfill(publisher),
            telling,
            Rejects(store),
            Equity(api, None),
        )
        catch_up.follow(LEADER, None)
        yield Walker(catch_up, publisher, store, environ["TT_DATABASE_URL"])


def traded(seconds: dict[int, int]) -> list[dict[str, Any]]:
    """Rows newest first: of each second ago so many of one transaction, whose number it is."""
    return [
        row(ago, timestamp=NOW - ago)
        for ago, count in sorted(seconds.items())
        for _ in range(count)
    ]


async def test_older_rows_are_published_in_pieces_each_second_whole(
    fake: Fake, environ: dict[str, str]
) -> None:
    fake.trades = traded({1: 3, 20: 3, 30: 1, 40: 3, 50: 1})
    async with walking(fake, environ) as walker:
        with capture_logs() as logs:
            assert await walker.poll() == [(20, 1), (1, 3)]
            fake.trades.insert(0, row(0xA, timestamp=NOW))
            assert await walker.poll() == [(0xA, 1), (30, 1), (20, 3)]
            assert not walker.begins_here(), "older ones would be missing"
            assert await walker.poll() == [(40, 3)]
            assert await walker.poll() == [(50, 1)]
        assert walker.begins_here()
        assert await walker.poll() == []
    said = [entry for entry in logs if entry["log_level"] == "error"]
    assert [entry["alert"] for entry in said] == [True], "once"


async def test_second_larger_than_a_walk_holds_up_nothing_older(
    fake: Fake, environ: dict[str, str]
) -> None:
    fake.trades = traded({1: 9, 20: 1})
    async with walking(fake, environ) as walker:
        assert await walker.poll() == [(1, 4)]
        assert await walker.poll() == []
        assert await walker.poll() == [(20, 1)]


async def test_leader_larger_than_a_walk_is_not_walked_for_ever(
    fake: Fake, environ: dict[str, str]
) -> None:
    fake.trades = traded({1: 2, 2: 9})
    async with walking(fake, environ) as walker:
        await walker.poll()
        for _ in range(200):
            await walker.poll()
            if LEADER not in walker.catch_up._unread_ranges:
                break
        requested = len(fake.requested)
        await walker.poll()
        assert len(fake.requested) - requested <= 5, "what was read once is not walked again"


async def test_a_walk_that_fails_goes_on_with_the_next_look(
    fake: Fake, environ: dict[str, str]
) -> None:
    fake.trades = traded({1: 3, 20: 2})
    async with walking(fake, environ) as walker:
        assert await walker.poll() == [(20, 1), (1, 3)]
        fake.refuses_end = True
        fake.trades.insert(0, row(0xA, timestamp=NOW))
        assert await walker.poll() == [(0xA, 1)]
        fake.refuses_end = False
        assert await walker.poll() == [(20, 2)]


async def test_what_a_reader_has_lost_is_looked_up_again(
    fake: Fake, environ: dict[str, str]
) -> None:
    fake.trades = traded({1: 1, 20: 1, 40: 1})
    async with walking(fake, environ, keep_ms=0) as walker:
        await walker.has_written([f"{(NOW - 25) * 1_000 + number}-0" for number in range(2_000)])
        assert await walker.poll() == [(40, 1), (20, 1), (1, 1)]
        await asyncio.sleep(0.002)
        servicer = IngestServicer(
            walker.publisher, walker.catch_up, Incarnation("0" * 16), walker.store
        )
        for consumer, expected in (("", []), ("router", [20])):
            request = StreamLeaderTradesRequest(
                cursor=f"{'0' * 16}-{(NOW - 30) * 1_000}-0", consumer=consumer
            )
            with pytest.raises(CursorOutOfRange):
                await anext(servicer.StreamLeaderTrades(request, cast("Any", None)))
            reported = await walker.poll()
            # The newest is in the overlap that each look reads.
            assert [tx for tx, _ in reported if tx != 1] == expected


async def test_loss_during_a_look_is_looked_up_by_the_next(
    fake: Fake, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.trades = traded({1: 1})
    async with walking(fake, environ, keep_ms=0) as walker:
        assert await walker.poll() == [(1, 1)]
        answers = walker.catch_up._answers

        async def lost_meanwhile(leader: str, since_ms: int) -> Any:
            found = await answers(leader, since_ms)
            walker.catch_up.look_back((NOW - 100) * 1_000)
            return found

        fake.trades = traded({0: 1, 1: 1, 60: 1})
        with monkeypatch.context() as patched:
            patched.setattr(walker.catch_up, "_answers", lost_meanwhile)
            await walker.poll()
        assert (60, 1) in await walker.poll()


async def test_who_is_left_is_walked_no_more(fake: Fake, environ: dict[str, str]) -> None:
    fake.trades = traded({1: 4, 20: 1})
    async with walking(fake, environ) as walker:
        await walker.poll()
        walker.catch_up.drop(LEADER)
        assert await walker.poll() == []
        assert not walker.catch_up._unread_ranges
