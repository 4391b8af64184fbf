"""The real process against the venue replay: books as the venue has them, marks as they change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import httpx
import msgspec
import pytest

from tests.bookfeed.world import ASSETS, Marks, bookfeed, get, matches, pin, watched
from tests.ingest.harness import until, until_health
from tradingtools.codec.marks import asks_of, bids_of
from tradingtools.domain import money
from tradingtools.v1 import bookfeed_service_pb2 as pb


async def test_an_asset_nobody_watched_is_fetched_with_its_market(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[0]
    async with bookfeed(environ, tmp_path) as (stub, replay, _):
        await pin(replay, asset, best_bid="0.3", best_ask="0.32")
        marks = await asyncio.gather(*(get(stub, asset) for _ in range(20)))
        async with httpx.AsyncClient(base_url=replay.http_url) as http:
            answer = await http.get("/clob/book", params={"token_id": asset})
            book = msgspec.json.decode(answer.content)
            gamma = (await http.get("/gamma/markets", params={"clob_token_ids": asset})).json()[0]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get(stub, "123456789")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get(stub, "0123")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for mark in marks:
        assert mark.status == pb.BOOK_STATUS_FRESH
        # The best is last on the wire and first in a mark.
        assert mark.bid_prices_micros == [
            money.parse_exact(level["price"]) for level in reversed(book["bids"])
        ]
        assert mark.ask_prices_micros == [
            money.parse_exact(level["price"]) for level in reversed(book["asks"])
        ]
    market = marks[0].market
    assert market.condition_id == book["market"]
    assert market.tick_micros == money.parse_exact(book["tick_size"])
    assert market.min_size_micros == 5_000_000
    assert market.title == gamma["question"]
    assert market.category == gamma["category"]
    assert market.fee_rate_micros == round(gamma["feeSchedule"]["rate"] * 10**6)
    assert market.HasField("end_ms")
    assert not market.closed
    assert not market.HasField("payout_micros")


async def test_marks_follow_the_books_of_both_assets(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[1]
    marks = Marks()
    async with bookfeed(environ, tmp_path) as (stub, replay, _), marks.reading(stub, asset):
        for best_bid, best_ask in (("0.3", "0.32"), ("0.6", "0.61"), ("0.1", "0.12")):
            await pin(replay, asset, best_bid=best_bid, best_ask=best_ask)
            await marks.where(
                asset,
                best_bid=money.parse_exact(best_bid),
                best_ask=money.parse_exact(best_ask),
                status=pb.BOOK_STATUS_FRESH,
            )
        await pin(replay, asset, bids=[], asks=[])
        await marks.where(asset, status=pb.BOOK_STATUS_EMPTY)


async def test_books_equal_those_of_the_venue_after_many_changes(
    environ: dict[str, str], tmp_path: Path
) -> None:
    marks = Marks()
    assets = ASSETS[:20]
    async with (
        bookfeed(environ, tmp_path, shard="7", look_ms="1000") as (stub, replay, _),
        marks.reading(stub, *assets),
    ):
        for asset in assets:
            await marks.where(asset, status=pb.BOOK_STATUS_FRESH)
        marks.seen.clear()
        await replay.notify("/start")

        async def many() -> bool:
            return marks.count > 300

        await until(many)
        # Each was looked at while it moved, and none was doubted.
        assert pb.BOOK_STATUS_STALE not in marks.seen

        async def three_shards_of_seven_and_the_spare() -> bool:
            return bool((await replay.ask("/state"))["clob_sockets"] == 4)

        await until(three_shards_of_seven_and_the_spare)
        for asset in assets:
            await pin(replay, asset, mid="0.4")  # hold still
        async with httpx.AsyncClient(base_url=replay.http_url) as http:

            async def equal() -> bool:
                for asset in assets:
                    answer = await http.get("/clob/book", params={"token_id": asset})
                    body = msgspec.json.decode(answer.content)
                    mark = marks.newest[asset]
                    for levels, written in (
                        (bids_of(mark), body["bids"]),
                        (asks_of(mark), body["asks"]),
                    ):
                        if list(levels) != [
                            (money.parse_exact(o["price"]), money.parse_exact(o["size"]))
                            for o in reversed(written)
                        ]:
                            return False
                return True

            await until(equal)


async def test_a_book_that_disagrees_with_the_venue_is_resynced(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[2]
    marks = Marks()
    # Nothing but a doubt makes it ask: the book stands still, and markets are not refreshed.
    async with (
        bookfeed(environ, tmp_path, market_ttl_ms="600000") as (stub, replay, _),
        marks.reading(stub, asset),
    ):
        bids, asks = [{"price": "0.3", "size": "7"}], [{"price": "0.32", "size": "7"}]
        await pin(replay, asset, bids=bids, asks=asks)
        await until(lambda: watched(replay, 1))
        before = await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        lie = {
            "event_type": "price_change",
            "market": "0x",
            "timestamp": str(before.book_ms),
            "price_changes": [
                {
                    "asset_id": asset, "price": "0.31", "size": "5", "side": "BUY",
                    "best_bid": "0.3", "best_ask": "0.32",
                }
            ],
        }  # fmt: skip
        await replay.notify(
            "/garbage", {"feed": "clob", "frame": msgspec.json.encode(lie).decode()}
        )

        async def corrected() -> bool:
            mark = marks.newest[asset]
            good = matches(mark, {"best_bid": 300_000, "status": pb.BOOK_STATUS_FRESH})
            return good and mark.revision > before.revision + 1

        await until(corrected)
        # A crossed book, and a frame that cannot be read, are resynced as well.
        lie["price_changes"] = [{"asset_id": asset, "price": "0.4", "size": "5", "side": "BUY"}]
        before = marks.newest[asset]
        await replay.notify(
            "/garbage", {"feed": "clob", "frame": msgspec.json.encode(lie).decode()}
        )
        await until(corrected)
        before = marks.newest[asset]
        broken = f'{{"event_type":"price_change","asset_id":"{asset}"'
        await replay.notify("/garbage", {"feed": "clob", "frame": broken})
        await until(corrected)


@pytest.mark.parametrize(
    ("elsewhere", "expected"),
    [({}, "SERVING"), ({"clob_ws_url": "ws://127.0.0.1:1/ws"}, "NOT_SERVING")],
    ids=["there", "away"],
)
async def test_what_it_depends_on_is_told_by_name(
    environ: dict[str, str], tmp_path: Path, elsewhere: dict[str, str], expected: str
) -> None:
    async with bookfeed(environ, tmp_path, **elsewhere) as (_, _, process):
        stores = {"postgresql": "SERVING", "redis": "SERVING"}
        await until_health(process.target, {**stores, "venue": expected})
