"""The cost of the deltas of many assets for one bookfeed: from a web socket to `StreamMarks`.

A real process watches 200 assets of 100 markets on one connection; each message tells a change of
one level for both assets of a market, as the venue's do. A message's time is its number, so a mark
says which message it contains, however many it has coalesced. The venue's REST is played as well:
bookfeed compares its books with it while it is measured.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from bench import alone
from bench.core.sheet import Figure, times
from bench.system import BenchError
from tradingtools.rpc import transport
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

_MARKETS = 100
_A_SECOND = 2_500
_SECONDS = 20.0
_WARM_SECONDS = 3.0
_TICK_SECONDS = 0.005
_READY_SECONDS = 60.0
_FIRST_MS = 1_790_000_000_000
_CENTS = range(20, 50)
"""Bids of an asset and, mirrored, asks of its other one."""
_BEST = 49

Json = dict[str, object]


class _Market:
    """YES has bids from 0.20 to 0.49 and one ask; NO is its mirror."""

    def __init__(self, number: int) -> None:
        self.condition = f"0x{number:064x}"
        self.assets = (f"{10**76 + 2 * number}", f"{10**76 + 2 * number + 1}")
        self._sizes = dict.fromkeys(_CENTS, 100)
        self._time = str(_FIRST_MS)

    def book(self, asset: str) -> Json:
        """As the socket and REST tell it."""
        near = [{"price": f"0.{c}", "size": str(s)} for c, s in self._sizes.items() if s]
        far = [{"price": f"0.{100 - c}", "size": str(s)} for c, s in self._sizes.items() if s]
        one = {"price": "0.51", "size": "100"}
        yes = asset == self.assets[0]
        return {
            "event_type": "book", "market": self.condition, "asset_id": asset,
            "timestamp": self._time, "tick_size": "0.01", "min_order_size": "5",
            "neg_risk": False, "bids": near if yes else [one | {"price": "0.49"}],
            "asks": [one] if yes else far,
        }  # fmt: skip

    def move(self, number: int, rng: random.Random) -> bytes:
        """Change a level, the best one now and then comes or goes; what the socket tells."""
        self._time = str(_FIRST_MS + number)
        cent = rng.choice(_CENTS)
        gone = cent == _BEST and self._sizes[_BEST]
        self._sizes[cent] = 0 if gone else rng.randrange(100, 1_000)
        best = max(c for c, size in self._sizes.items() if size)
        size, (yes, no) = self._sizes[cent], self.assets
        return (
            f'{{"event_type":"price_change","market":"{self.condition}","timestamp":"{self._time}",'
            f'"price_changes":[{{"asset_id":"{yes}","price":"0.{cent}","size":"{size}",'
            f'"side":"BUY","best_bid":"0.{best}","best_ask":"0.51"}},'
            f'{{"asset_id":"{no}","price":"0.{100 - cent}","size":"{size}","side":"SELL",'
            f'"best_bid":"0.49","best_ask":"0.{100 - best}"}}]}}'
        ).encode()


class _Venue:
    """The market channel, and REST beside it."""

    def __init__(self) -> None:
        self.markets = [_Market(number) for number in range(_MARKETS)]
        self.sent_ns: list[int] = [0]
        self._of = {asset: market for market in self.markets for asset in market.assets}
        self._watching: set[web.WebSocketResponse] = set()
        self._rng = random.Random(1)  # noqa: S311 - a seed makes it repeatable

    @property
    def assets(self) -> list[str]:
        """All that are watched."""
        return list(self._of)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Where, as `host:port`."""
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/book", self._book)
        app.router.add_get("/markets-by-token/{asset}", self._condition)
        app.router.add_get("/clob-markets/{condition}", self._rules)
        app.router.add_get("/markets", self._nothing)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def play(self, seconds: float, a_second: int) -> int:
        """Move the books; how many deltas that were, two to a message."""
        started, first = time.monotonic(), len(self.sent_ns)
        while (gone := time.monotonic() - started) < seconds:
            for _ in range(int(gone * a_second / 2) - (len(self.sent_ns) - first)):
                frame = self._rng.choice(self.markets).move(len(self.sent_ns), self._rng).decode()
                self.sent_ns.append(time.monotonic_ns())
                for socket in list(self._watching):
                    await socket.send_str(frame)
            await asyncio.sleep(_TICK_SECONDS)
        return 2 * (len(self.sent_ns) - first)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        try:
            async for message in socket:
                if message.data == "PING":
                    await socket.send_str("PONG")
                    continue
                books = [
                    self._of[asset].book(asset)
                    for asset in msgspec.json.decode(message.data)["assets_ids"]
                ]
                await socket.send_str(msgspec.json.encode(books).decode())
                self._watching.add(socket)
        finally:
            self._watching.discard(socket)
        return socket

    async def _book(self, request: web.Request) -> web.Response:
        asset = request.query["token_id"]
        return web.json_response(self._of[asset].book(asset))

    async def _condition(self, request: web.Request) -> web.Response:
        asset = request.match_info["asset"]
        return web.json_response({"condition_id": self._of[asset].condition})

    async def _rules(self, _: web.Request) -> web.Response:
        return web.json_response({"mts": 0.01, "mos": 5, "t": [], "fd": None})

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.json_response([])


class _Marks:
    """The age of each mark on arrival."""

    def __init__(self, venue: _Venue) -> None:
        self.delays_ms: list[float] = []
        self.fresh: set[str] = set()
        self.doubted = 0
        self._venue = venue

    async def read(self, target: str) -> None:
        """For ever."""
        async with transport.channel(target) as channel:
            stub = rpc.BookfeedServiceStub(channel)
            request = pb.StreamMarksRequest(asset_ids=self._venue.assets)
            async for response in stub.StreamMarks(request):
                now_ns = time.monotonic_ns()
                for mark in response.marks:
                    self._take(mark, now_ns)

    def _take(self, mark: pb.Mark, now_ns: int) -> None:
        if mark.status != pb.BOOK_STATUS_FRESH:
            self.fresh.discard(mark.asset_id)
            self.doubted += 1
            return
        self.fresh.add(mark.asset_id)
        if number := mark.book_ms - _FIRST_MS:
            self.delays_ms.append((now_ns - self._venue.sent_ns[number]) / 1e6)


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own. Raises BenchError."""
    venue = _Venue()
    marks = _Marks(venue)
    with alone.stores() as stores:
        async with venue.serving() as at:
            settings = {
                "CLOB_WS_URL": f"ws://{at}/ws",
                "CLOB_URL": f"http://{at}",
                "GAMMA_URL": f"http://{at}",
            }
            async with alone.process("bookfeed", stores, settings) as bookfeed:
                reading = asyncio.create_task(marks.read(bookfeed.target))
                try:
                    await _all_fresh(marks, len(venue.assets))
                    say(f"{len(venue.assets)} books are kept")
                    await venue.play(_WARM_SECONDS * factor, _A_SECOND)
                    marks.delays_ms.clear()
                    marks.doubted = 0
                    used, started = bookfeed.cpu_seconds, time.monotonic()
                    deltas = await venue.play(_SECONDS * factor, _A_SECOND)
                    seconds = time.monotonic() - started
                    used = bookfeed.cpu_seconds - used
                finally:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
    under = f"{deltas / seconds:.0f} deltas a second, {len(venue.assets)} assets"
    return [
        Figure(what="bookfeed's share of a core", under=under, value=used / seconds, unit="cores"),
        *times("from the socket to a mark", under, marks.delays_ms),
        Figure(
            what="of its marks fresh",
            under=under,
            unit="%",
            goal=100,
            at_least=True,
            value=100 * len(marks.delays_ms) / (len(marks.delays_ms) + marks.doubted),
        ),
    ]


async def _all_fresh(marks: _Marks, count: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while len(marks.fresh) < count:
        if time.monotonic() > deadline:
            raise BenchError(f"{len(marks.fresh)} of {count} books are fresh, no more")
        await asyncio.sleep(_TICK_SECONDS)
