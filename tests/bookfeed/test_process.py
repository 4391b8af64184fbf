"""The real process against the venue replay: books as the venue has them, marks as they change."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import msgspec
import psycopg
import pytest
from aiohttp import web

from paper.venue import tape
from tests.ingest.harness import Process, Venue, running, until, venue
from tradingtools.domain import money
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import common_pb2
from tradingtools.v1.bookfeed_service_pb2_grpc import BookfeedServiceStub

if TYPE_CHECKING:
    from tradingtools.v1.bookfeed_service_pb2_grpc import BookfeedServiceAsyncStub

ROWS = tape.load(None)[0]
ASSETS = list(dict.fromkeys(row.trade.asset for row in ROWS))


@pytest.fixture
def environ(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "TT_DATABASE_URL": database_url,
        "TT_REDIS_URL": redis_url,
        "TT_BOOKFEED_MARKET_TTL_MS": "1000",
    }


@asynccontextmanager
async def bookfeed(
    environ: dict[str, str], tmp_path: Path, **settings: str
) -> AsyncIterator[tuple[BookfeedServiceAsyncStub, Venue, Process]]:
    async with venue(tmp_path / "venue") as replay:
        at = {
            **environ,
            "TT_BOOKFEED_CLOB_WS_URL": f"{replay.ws_url}/clob/ws/market",
            "TT_BOOKFEED_CLOB_URL": f"{replay.http_url}/clob",
            "TT_BOOKFEED_GAMMA_URL": f"{replay.http_url}/gamma",
            **{f"TT_BOOKFEED_{name.upper()}": value for name, value in settings.items()},
        }
        async with (
            running("bookfeed", at, tmp_path) as process,
            grpc.aio.insecure_channel(process.target) as channel,
        ):
            yield BookfeedServiceStub(channel), replay, process


async def pin(replay: Venue, asset: str, **wish: Any) -> None:
    await replay.tell(f"/books/{asset}", wish, "PUT")


async def get(stub: BookfeedServiceAsyncStub, asset: str) -> pb.Mark:
    return (await stub.GetBook(pb.GetBookRequest(asset_id=asset))).mark


class Marks:
    """The newest mark of each asset, and how many came."""

    def __init__(self) -> None:
        self.newest: dict[str, pb.Mark] = {}
        self.seen: set[int] = set()
        self.count = 0
        self.cursor = ""

    @asynccontextmanager
    async def reading(self, stub: BookfeedServiceAsyncStub, *assets: str) -> AsyncIterator[None]:
        async def read() -> None:
            async for response in stub.StreamMarks(pb.StreamMarksRequest(asset_ids=assets)):
                self.cursor = response.cursor
                for mark in response.marks:
                    self.newest[mark.asset_id] = mark
                    self.seen.add(mark.status)
                    self.count += 1

        task = asyncio.create_task(read())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def where(self, asset: str, **values: Any) -> pb.Mark:
        """The mark, once it has these values; best_bid and best_ask are those of the levels."""

        async def look() -> pb.Mark | None:
            mark = self.newest.get(asset)
            return mark if mark is not None and matches(mark, values) else None

        found = await until(look)
        assert found is not None
        return found


def matches(mark: pb.Mark, values: dict[str, Any]) -> bool:
    best = {
        "best_bid": mark.bids[0].price_micros if mark.bids else None,
        "best_ask": mark.asks[0].price_micros if mark.asks else None,
    }
    return all(
        (best[name] if name in best else getattr(mark, name)) == value
        for name, value in values.items()
    )


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
        assert [level.price_micros for level in mark.bids] == [
            money.parse_exact(level["price"]) for level in reversed(book["bids"])
        ]
        assert [level.price_micros for level in mark.asks] == [
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
    watched = ASSETS[:20]
    async with (
        bookfeed(environ, tmp_path, shard="7") as (stub, replay, _),
        marks.reading(stub, *watched),
    ):
        await replay.tell("/start")

        async def many() -> bool:
            return marks.count > 200 and len(marks.newest) == len(watched)

        await until(many)
        assert (await replay.ask("/state"))["clob_sockets"] == 3
        for asset in watched:
            await pin(replay, asset, mid="0.4")  # hold still
        async with httpx.AsyncClient(base_url=replay.http_url) as http:

            async def equal() -> bool:
                for asset in watched:
                    answer = await http.get("/clob/book", params={"token_id": asset})
                    body = msgspec.json.decode(answer.content)
                    mark = marks.newest[asset]
                    for levels, written in (
                        (mark.bids, body["bids"]),
                        (mark.asks, body["asks"]),
                    ):
                        if [(one.price_micros, one.size_micros) for one in levels] != [
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
    async with bookfeed(environ, tmp_path) as (stub, replay, _), marks.reading(stub, asset):
        await pin(replay, asset, best_bid="0.3", best_ask="0.32")
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
        await replay.tell("/garbage", {"feed": "clob", "frame": msgspec.json.encode(lie).decode()})

        async def corrected() -> bool:
            mark = marks.newest[asset]
            good = matches(mark, {"best_bid": 300_000, "status": pb.BOOK_STATUS_FRESH})
            return good and mark.revision > before.revision + 1

        await until(corrected)
        # A crossed book, and a frame that cannot be read, are resynced as well.
        lie["price_changes"] = [{"asset_id": asset, "price": "0.4", "size": "5", "side": "BUY"}]
        before = marks.newest[asset]
        await replay.tell("/garbage", {"feed": "clob", "frame": msgspec.json.encode(lie).decode()})
        await until(corrected)
        before = marks.newest[asset]
        broken = f'{{"event_type":"price_change","asset_id":"{asset}"'
        await replay.tell("/garbage", {"feed": "clob", "frame": broken})
        await until(corrected)


async def test_a_lost_connection_makes_marks_stale_until_the_next_snapshot(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    marks = Marks()
    async with bookfeed(environ, tmp_path) as (stub, replay, _), marks.reading(stub, asset):
        await pin(replay, asset, best_bid="0.3", best_ask="0.32")
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        marks.seen.clear()
        await replay.tell("/drop", {"feed": "clob", "abort": True})

        async def stale() -> bool:
            return pb.BOOK_STATUS_STALE in marks.seen

        await until(stale)
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)


async def test_a_silent_connection_makes_marks_stale_and_is_renewed(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    opened = 0

    async def speak_once(request: web.Request) -> web.WebSocketResponse:
        nonlocal opened
        opened += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        book = {
            "event_type": "book", "market": "0x", "asset_id": asset, "timestamp": "1790272267688",
            "bids": [{"price": "0.3", "size": "5"}], "asks": [], "tick_size": "0.01",
        }  # fmt: skip
        await socket.send_json([book])
        async for _ in socket:
            pass  # not even a PONG
        return socket

    app = web.Application()
    app.router.add_get("/", speak_once)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    silent = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    marks = Marks()
    try:
        async with (
            bookfeed(environ, tmp_path, stale_ms="500", clob_ws_url=silent) as (stub, _, process),
            marks.reading(stub, asset),
        ):

            async def both() -> bool:
                return {pb.BOOK_STATUS_FRESH, pb.BOOK_STATUS_STALE} <= marks.seen and opened > 2

            await until(both)
            process.kill(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        await runner.cleanup()


async def test_a_connection_that_lives_and_brings_nothing_is_found_out_by_asking(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    marks = Marks()
    async with bookfeed(environ, tmp_path) as (stub, replay, _), marks.reading(stub, asset):
        await pin(replay, asset, best_bid="0.3", best_ask="0.32")
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        await replay.tell("/stall", {"feed": "clob", "seconds": 60})
        await pin(replay, asset, best_bid="0.6", best_ask="0.62")
        await marks.where(asset, best_bid=600_000, status=pb.BOOK_STATUS_FRESH)


async def test_a_resolved_market_is_closed_and_says_what_a_share_pays(
    environ: dict[str, str], tmp_path: Path
) -> None:
    won, halved = ROWS[0].trade, next(r.trade for r in ROWS if r.trade.asset == ASSETS[1])
    marks = Marks()
    async with (
        bookfeed(environ, tmp_path) as (stub, replay, _),
        marks.reading(stub, won.asset, halved.asset),
    ):
        for trade in (won, halved):
            await marks.where(trade.asset, status=pb.BOOK_STATUS_FRESH)
        await replay.tell(f"/resolve/{won.condition}", {"payouts": ["1", "0"]})
        await replay.tell(f"/resolve/{halved.condition}", {"payouts": ["0.5", "0.5"]})

        async def paid() -> list[int] | None:
            markets = [marks.newest[trade.asset].market for trade in (won, halved)]
            if not all(m.closed and m.HasField("payout_micros") for m in markets):
                return None
            return [market.payout_micros for market in markets]

        payouts = await until(paid)
        assert payouts is not None
        assert payouts[0] in (0, 1_000_000)
        assert payouts[1] == 500_000
        # Who asks for it without watching learns the same over REST.
        assert (await get(stub, won.asset)).market.payout_micros == payouts[0]


async def test_held_assets_and_live_triggers_are_watched(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    held, guarded = ASSETS[4], ASSETS[5]
    marks = Marks()
    async with (
        bookfeed(environ, tmp_path, linger_ms="100") as (stub, replay, _),
        marks.reading(stub),
    ):
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)"
                " values ('0x', %s, 'manual', '0x', 5)",
                (held,),
            )
            connection.execute(
                "insert into trigger (id, follower_proxy, condition_id, asset_id, origin,"
                " trigger_type, price_micros, status)"
                " values (%s, '0x', '0x', %s, 'manual', 'STOP_LOSS', 5, 'ARMED')",
                (f"trg_{1:032x}", guarded),
            )
        for asset in (held, guarded):
            await marks.where(asset, status=pb.BOOK_STATUS_FRESH)
        with psycopg.connect(database_url) as connection:
            connection.execute("update lot set shares_micros = 0")
            connection.execute("update trigger set status = 'DONE'")

        async def let_go() -> bool:
            return bool((await replay.ask("/state"))["clob_markets_watched"] == 0)

        await until(let_go)


async def test_an_asset_is_let_go_when_nobody_wants_it_any_more(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async with bookfeed(environ, tmp_path, linger_ms="300") as (stub, replay, _):
        await get(stub, ASSETS[6])

        async def watched(number: int) -> bool:
            return bool((await replay.ask("/state"))["clob_markets_watched"] == number)

        await until(lambda: watched(1))
        await until(lambda: watched(0))


async def test_a_slow_reader_gets_the_newest_mark_and_no_backlog(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[7]
    fast = Marks()
    async with bookfeed(environ, tmp_path) as (stub, replay, process), fast.reading(stub, asset):
        await fast.where(asset, status=pb.BOOK_STATUS_FRESH)
        # A window of the least size: what is not read is soon not written either.
        options = [("grpc.http2.lookahead_bytes", 0), ("grpc.http2.bdp_probe", 0)]
        async with grpc.aio.insecure_channel(process.target, options=options) as channel:
            slow = BookfeedServiceStub(channel).StreamMarks(
                pb.StreamMarksRequest(asset_ids=[asset])
            )
            first: Any = await slow.read()
            assert first.marks[0].asset_id == asset
            for number in range(300):
                bid = 100_000 + 10_000 * (number % 50)
                await pin(
                    replay, asset, best_bid=money.to_text(bid),
                    best_ask=money.to_text(bid + 10_000),
                )  # fmt: skip
            await pin(replay, asset, best_bid="0.77", best_ask="0.78")
            newest = await fast.where(asset, best_bid=770_000)
            read, mark = 0, first.marks[0]
            while mark.revision < newest.revision:
                response: Any = await asyncio.wait_for(slow.read(), 10)
                read += len(response.marks)
                mark = response.marks[-1] if response.marks else mark
            assert mark.bids[0].price_micros == 770_000
            assert read < fast.count


async def test_only_named_readers_are_remembered_and_only_forward(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    marks = Marks()
    async with bookfeed(environ, tmp_path) as (stub, _, _), marks.reading(stub, ASSETS[0]):
        await marks.where(ASSETS[0], status=pb.BOOK_STATUS_FRESH)
        life, _, number = marks.cursor.partition("-")
        assert progress(database_url) == {}
        for cursor in (f"{life}-{int(number) + 5}", f"{life}-{number}"):
            await stub.Acknowledge(common_pb2.AcknowledgeRequest(consumer="guard", cursor=cursor))
        assert progress(database_url) == {"guard": f"{life}-{int(number) + 5}"}
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Acknowledge(common_pb2.AcknowledgeRequest(consumer="guard", cursor="x"))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def progress(database_url: str) -> dict[str, str]:
    with psycopg.connect(database_url) as connection:
        return dict(
            connection.execute(
                "select consumer, cursor from consumer_cursor where stream = 'marks'"
            ).fetchall()
        )


async def test_a_venue_that_does_not_answer_is_unavailable(
    environ: dict[str, str], tmp_path: Path
) -> None:
    nobody = {
        **environ,
        "TT_BOOKFEED_CLOB_WS_URL": "ws://127.0.0.1:1/",
        "TT_BOOKFEED_CLOB_URL": "http://127.0.0.1:1",
        "TT_BOOKFEED_GAMMA_URL": "http://127.0.0.1:1",
    }
    async with (
        running("bookfeed", nobody, tmp_path) as process,
        grpc.aio.insecure_channel(process.target) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get(BookfeedServiceStub(channel), ASSETS[0])
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert process.running


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TT_REDIS_URL", ""),
        ("TT_BOOKFEED_CLOB_WS_URL", "http://x"),
        ("TT_BOOKFEED_GAMMA_URL", "x"),
        ("TT_BOOKFEED_SHARD", "501"),
        ("TT_BOOKFEED_SHARDS", "3"),
    ],
)
async def test_a_wrong_setting_is_one_line_that_names_it(
    environ: dict[str, str], tmp_path: Path, name: str, value: str
) -> None:
    process = Process("services.bookfeed", {**environ, name: value}, tmp_path / "log", 0)
    await process.start()
    assert await process.wait() == 2
    (line,) = process.log.read_text().splitlines()
    assert line.startswith(f"bookfeed: {name}: ")
