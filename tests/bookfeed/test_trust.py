"""When a book may be traded on: lost, silent and frozen connections, resolved markets."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.bookfeed.world import ASSETS, ROWS, Marks, bookfeed, get, pin, watched
from tests.ingest.harness import until
from tradingtools.v1 import bookfeed_service_pb2 as pb


class Channel:
    """A market channel that answers each subscription with a book and then says nothing more."""

    def __init__(
        self, asset: str, *, answers_pings: bool = True, mute: int = 0, garbles: bool = False
    ) -> None:
        """`mute`: so many subscriptions are left without a book.

        `garbles`: each ping brings a change that cannot be read.
        """
        self.open: set[web.WebSocketResponse] = set()
        self.subscribed: list[web.WebSocketResponse] = []
        self.refuses = False
        self._asset = asset
        self._answers_pings = answers_pings
        self._mute = mute
        self._garbles = garbles

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/", self._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"ws://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.open.add(socket)
        try:
            async for message in socket:
                if message.data != "PING":
                    await self._answer(socket, json.loads(message.data))
                elif self._garbles:
                    await socket.send_json({"event_type": "price_change", "of": self._asset})
                elif self._answers_pings:
                    await socket.send_str("PONG")
        finally:
            self.open.discard(socket)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, requested: dict[str, Any]) -> None:
        if requested.get("type") != "market" or self._asset not in requested["assets_ids"]:
            return
        self.subscribed.append(socket)
        if len(self.subscribed) <= self._mute:
            return
        book = {
            "event_type": "book", "market": "0x", "asset_id": self._asset,
            "timestamp": "1790272267688", "hash": "f2a3",
            "bids": [{"price": "0.3", "size": "5"}], "asks": [], "tick_size": "0.01",
        }  # fmt: skip
        await socket.send_json([book])


class HangingGamma:
    """Knows no market, and says so until it hangs."""

    def __init__(self) -> None:
        self.hangs = False
        self.requested = asyncio.Event()
        """It hangs, and somebody has asked."""
        self.given_up = False
        """Who asked has gone."""
        self._over = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/markets", self._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            self._over.set()
            await runner.cleanup()

    async def _serve(self, _: web.Request) -> web.Response:
        if self.hangs:
            self.requested.set()
            try:
                await self._over.wait()
            except asyncio.CancelledError:
                self.given_up = True
                raise
        return web.json_response([])


async def test_lost_connection_makes_marks_stale_until_a_snapshot(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    marks = Marks()
    async with bookfeed(environ, tmp_path) as (stub, replay, _), marks.reading(stub, asset):
        await pin(replay, asset, best_bid="0.3", best_ask="0.32")
        await until(lambda: watched(replay, 1))
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        marks.seen.clear()
        await replay.notify("/drop", {"feed": "clob", "abort": True})

        async def stale() -> bool:
            return pb.BOOK_STATUS_STALE in marks.seen

        await until(stale)
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)


async def test_a_silent_connection_makes_marks_stale_and_is_renewed(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    channel = Channel(asset, answers_pings=False)
    marks = Marks()
    async with (
        channel.serving() as url,
        bookfeed(environ, tmp_path, stale_ms="500", clob_ws_url=url) as (stub, _, process),
        marks.reading(stub, asset),
    ):

        async def both() -> bool:
            seen = {pb.BOOK_STATUS_FRESH, pb.BOOK_STATUS_STALE} <= marks.seen
            return seen and len(channel.subscribed) > 1

        await until(both)
        process.kill(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_lost_connection_goes_on_over_the_spare(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    channel, marks = Channel(asset), Marks()
    async with (
        channel.serving() as url,
        bookfeed(environ, tmp_path, clob_ws_url=url) as (stub, _, _),
        marks.reading(stub, asset),
    ):

        async def one_and_a_spare() -> bool:
            return len(channel.open) == 2 and len(channel.subscribed) == 1

        await until(one_and_a_spare)
        channel.refuses = True
        (lost,) = channel.subscribed
        await lost.close()

        async def goes_on() -> bool:
            return len(channel.subscribed) == 2

        await until(goes_on)
        assert channel.open == {channel.subscribed[1]}
        channel.refuses = False

        async def spare_again() -> bool:
            return len(channel.open) == 2

        await until(spare_again)
        await marks.where(asset, status=pb.BOOK_STATUS_FRESH)
        assert len(channel.subscribed) == 2


async def test_by_default_a_stalled_feed_hides_a_fall_for_seconds_only(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    marks = Marks()
    defaults = {name: at for name, at in environ.items() if not name.startswith("TT_BOOKFEED_")}
    async with bookfeed(defaults, tmp_path) as (stub, replay, _), marks.reading(stub, asset):
        await pin(replay, asset, best_bid="0.3", best_ask="0.32")
        await until(lambda: watched(replay, 1))
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        marks.seen.clear()
        # Sockets stay open, pings are answered, new subscriptions bring no book.
        await replay.notify("/stall", {"feed": "clob", "seconds": 600})
        await pin(replay, asset, best_bid="0.1", best_ask="0.12")
        await marks.where(asset, best_bid=100_000, status=pb.BOOK_STATUS_FRESH)
        assert pb.BOOK_STATUS_STALE in marks.seen, "it is doubted before it is believed again"
        await pin(replay, asset, best_bid="0.05", best_ask="0.07")
        await marks.where(asset, best_bid=50_000, status=pb.BOOK_STATUS_FRESH)
        await replay.notify("/stall", {"feed": "clob", "seconds": 0})
        await pin(replay, asset, best_bid="0.2", best_ask="0.22")
        await marks.where(asset, best_bid=200_000, status=pb.BOOK_STATUS_FRESH)


async def test_quiet_connection_stays_until_rest_shows_missed_changes(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    channel, marks = Channel(asset), Marks()
    async with (
        channel.serving() as url,
        # Its first book has to come within that, on a busy machine too.
        bookfeed(environ, tmp_path, clob_ws_url=url, quiet_ms="1000", look_ms="600000") as (
            stub,
            replay,
            _,
        ),
    ):
        level = {"price": "0.3", "size": "5"}
        await pin(replay, asset, bids=[level], asks=[])
        async with marks.reading(stub, asset):
            await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
            marks.seen.clear()
            await asyncio.sleep(3)  # some looks
            assert len(channel.subscribed) == 1
            assert marks.seen <= {pb.BOOK_STATUS_FRESH}
            # Behind the best bid, where no best price tells of it.
            await pin(replay, asset, bids=[{"price": "0.2", "size": "9"}, level], asks=[])

            async def doubted() -> bool:
                return pb.BOOK_STATUS_STALE in marks.seen and len(channel.subscribed) > 1

            await until(doubted)


async def test_a_connection_without_first_books_is_given_up(
    environ: dict[str, str], tmp_path: Path
) -> None:
    channel, marks = Channel(ASSETS[3], mute=1), Marks()
    async with (
        channel.serving() as url,
        bookfeed(environ, tmp_path, clob_ws_url=url, quiet_ms="200", look_ms="600000") as (
            stub,
            _,
            _,
        ),
        marks.reading(stub, ASSETS[3]),
    ):

        async def once_more() -> bool:
            return len(channel.subscribed) > 1

        await until(once_more)


async def test_changes_that_cannot_be_read_leave_the_book_to_rest(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[3]
    channel, marks = Channel(asset, garbles=True), Marks()
    async with (
        channel.serving() as url,
        # A ping comes each 0.2 s, oftener than a doubt could end.
        bookfeed(environ, tmp_path, clob_ws_url=url, stale_ms="600", look_ms="600000") as (
            stub,
            replay,
            _,
        ),
    ):
        await pin(replay, asset, bids=[{"price": "0.3", "size": "5"}], asks=[])
        async with marks.reading(stub, asset):
            for price, best_bid in (("0.2", 200_000), ("0.1", 100_000)):
                await pin(replay, asset, bids=[{"price": price, "size": "5"}], asks=[])
                await marks.where(asset, best_bid=best_bid, status=pb.BOOK_STATUS_FRESH)
        assert len(channel.subscribed) == 1, "its connection is no worse than another one"


async def test_a_wrong_level_behind_the_best_price_is_found_by_looking(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[2]
    marks = Marks()
    async with (
        bookfeed(environ, tmp_path, look_ms="1000") as (stub, replay, _),
        marks.reading(stub, asset),
    ):
        bids = [{"price": "0.2", "size": "9"}, {"price": "0.3", "size": "7"}]
        await pin(replay, asset, bids=bids, asks=[{"price": "0.32", "size": "7"}])
        await until(lambda: watched(replay, 1))
        before = await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        # As if the message that took the level away had been lost, and a later one had come.
        lie = {
            "event_type": "price_change", "market": "0x", "timestamp": str(before.book_ms),
            "price_changes": [
                {
                    "asset_id": asset, "price": "0.25", "size": "500", "side": "BUY",
                    "best_bid": "0.3", "best_ask": "0.32",
                }
            ],
        }  # fmt: skip
        await replay.notify("/garbage", {"feed": "clob", "frame": json.dumps(lie)})

        def prices() -> list[int]:
            return list(marks.newest[asset].bid_prices_micros)

        async def believed() -> bool:
            return prices() == [300_000, 250_000, 200_000]

        await until(believed)
        assert marks.newest[asset].status == pb.BOOK_STATUS_FRESH

        async def corrected() -> bool:
            fresh = marks.newest[asset].status == pb.BOOK_STATUS_FRESH
            return fresh and prices() == [300_000, 200_000]

        await until(corrected)


async def test_a_gamma_that_hangs_holds_up_no_book(environ: dict[str, str], tmp_path: Path) -> None:
    asset = ASSETS[3]
    channel, gamma, marks = Channel(asset), HangingGamma(), Marks()
    async with (
        gamma.serving() as gamma_url,
        channel.serving() as url,
        # One slot and one connection, which Gamma would have for a minute.
        bookfeed(
            environ, tmp_path, clob_ws_url=url, gamma_url=gamma_url, look_ms="1000",
            api_connections="1", api_timeout_ms="60000",
        ) as (stub, replay, _),
        marks.reading(stub, asset),
    ):  # fmt: skip
        await pin(replay, asset, bids=[{"price": "0.3", "size": "5"}], asks=[])
        await marks.where(asset, best_bid=300_000, status=pb.BOOK_STATUS_FRESH)
        gamma.hangs = True
        await gamma.requested.wait()
        channel.refuses = True
        marks.seen.clear()
        for socket in list(channel.open):
            await socket.close()
        await marks.where(asset, status=pb.BOOK_STATUS_STALE)
        await pin(replay, asset, bids=[{"price": "0.2", "size": "5"}], asks=[])
        # REST is all there is, and it is asked.
        await marks.where(asset, best_bid=200_000, status=pb.BOOK_STATUS_FRESH)
        assert not gamma.given_up


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
        await replay.notify(f"/resolve/{won.condition}", {"payouts": ["1", "0"]})
        await replay.notify(f"/resolve/{halved.condition}", {"payouts": ["0.5", "0.5"]})

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
