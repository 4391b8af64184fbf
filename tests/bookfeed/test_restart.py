"""A start takes back what the life before it knew of markets: stops are blind for no longer."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

import psycopg
import pytest
import redis.asyncio as redis

from services.bookfeed.core.book_state import TAKEOVER_MS, Status
from services.bookfeed.core.watchlist import Interest
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.publisher import restore
from services.bookfeed.settings import Settings
from services.bookfeed.sockets import Sockets, _Link, _Shard
from tests.bookfeed.test_trust import Channel
from tests.bookfeed.world import ASSETS, Marks, bookfeed, pin
from tests.ingest.harness import until
from tradingtools.codec.marks import columns
from tradingtools.settings import load
from tradingtools.storage.redis.mark_board import PREFIX
from tradingtools.v1 import bookfeed_service_pb2 as pb

ASSET = ASSETS[3]
NOBODY = {"clob_url": "http://127.0.0.1:1", "gamma_url": "http://127.0.0.1:1"}


async def test_a_book_is_good_again_without_a_question_to_rest(
    environ: dict[str, str], database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)"
            " values (%s, %s, 'manual', 'c', 1)",
            ["0x" + "1" * 40, ASSET],
        )
    channel, marks = Channel(ASSET), Marks()
    board = redis.Redis.from_url(redis_url)
    async with channel.serving() as url:
        async with bookfeed(environ, tmp_path, clob_ws_url=url) as (stub, replay, _):
            await pin(replay, ASSET, bids=[{"price": "0.3", "size": "5"}], asks=[])
            async with marks.reading(stub, ASSET):
                before = await marks.where(ASSET, status=pb.BOOK_STATUS_FRESH)

            async def kept() -> bool:
                return bool(await board.exists(PREFIX + ASSET))

            await until(kept)
        marks = Marks()
        async with (
            bookfeed(environ, tmp_path / "again", clob_ws_url=url, **NOBODY) as (stub, _, _),
            marks.reading(stub, ASSET),
        ):
            after = await marks.where(ASSET, status=pb.BOOK_STATUS_FRESH, best_bid=300_000)
            assert after.market == before.market
            assert marks.seen == {pb.BOOK_STATUS_FRESH}, "no mark before there is a book"
    await board.aclose()


async def test_no_price_and_no_end_is_taken_from_the_board(redis_url: str) -> None:
    board = redis.Redis.from_url(redis_url)
    market = pb.MarketInfo(tick_micros=10_000, min_size_micros=5_000_000)
    closed, paid = pb.MarketInfo(closed=True), pb.MarketInfo(payout_micros=0)
    for asset_id, of in (("1", market), ("2", closed), ("3", paid)):
        mark = pb.Mark(
            asset_id=asset_id,
            market=of,
            received_ns=7,
            status=pb.BOOK_STATUS_FRESH,
            **columns([(300_000, 1)]),
        )
        await board.set(PREFIX + asset_id, mark.SerializeToString())
    await board.set(PREFIX + "4", b"\xff\xff")
    hub = Hub(stale_ms=15_000, rest_ms=5_000, depth=100)
    await restore(hub, board, ["1", "2", "3", "4", "5"])
    assert list(hub.tracked) == ["1"]
    assert hub.market("1") == market
    assert hub.status("1") is Status.STALE
    assert hub.mark("1") is None
    hub.tracked["1"].end_resync(None, now_ms=0, received_ns=1)
    assert hub.mark("1") is None, "REST had no answer either"
    hub.tracked["1"].snapshot(((310_000, 1),), (), 1, 1)
    reported = hub.mark("1")
    assert reported is not None
    assert reported.bid_prices_micros == [310_000]
    await board.aclose()


async def test_a_start_waits_for_no_board() -> None:
    hub = Hub(stale_ms=15_000, rest_ms=5_000, depth=100)
    # It takes the connection and never answers.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with redis.Redis(port=mute.getsockname()[1], socket_timeout=30.0) as board:
            async with asyncio.timeout(10):
                await restore(hub, board, ["1"])
    assert hub.tracked == {}


@pytest.mark.parametrize("spare", [True, False])
async def test_rest_is_asked_at_once_only_when_no_connection_is_spare(spare: bool) -> None:
    """Hundreds of questions would hold up the book of an asset that is bought right then."""
    hub = Hub(stale_ms=15_000, rest_ms=5_000, depth=100)
    settings = load(
        Settings, "bookfeed", {"TT_DATABASE_URL": "postgresql://", "TT_REDIS_URL": "redis://"}
    )
    sockets = Sockets(settings, hub, cast(Fetcher, None), Interest(1_000))
    shard, tracked = _Shard(), hub.track("1")
    shard.assets.add("1")
    tracked.snapshot(((300_000, 1),), (), 1, 1)
    if spare:
        sockets._spare.append(cast(_Link, None))
    before_ms = now_ms()
    sockets._give_up(shard)
    assert tracked.wants_resync(before_ms) is not spare
    assert tracked.wants_resync(now_ms() + TAKEOVER_MS), "a spare that tells nothing is not all"
    assert hub.status("1") is Status.STALE
    tracked.snapshot(((300_000, 1),), (), 2, 2)
    assert not tracked.wants_resync(now_ms() + TAKEOVER_MS)
