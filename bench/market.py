"""bookfeed and confirm in the benchmark's hands: books that move, and dips that reach one stop.

Best bids wander between 0.45 and 0.53, where no trigger is reached and peaks of trailing stops
rise; now and then a book is stale for a moment, so that its triggers are suspended. A dip is a book
whose only bid is the price of the next stop-loss of its asset; it stays until that exit has come.
A guard that is slow to read gets the newest mark of each asset, as it does from bookfeed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from bench.core.stalls import Taken
from services.bookfeed.hub import Reader
from tradingtools.domain.errors import NotFound
from tradingtools.rpc.streams import CHECKPOINT_SECONDS
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import common_pb2 as common

_CENT = 10_000
_LEVELS = 30
_BEST_BID = 490_000
_LOWEST_BEST = 450_000
_HIGHEST_BEST = 530_000
_SHIFTS = 0.02
"""Of all changes: the best price moves by a cent, and the book with it."""
_STALES = 1 / 12_500
"""Of all changes: the book is stale until its next one."""
_HIGHEST_STOP = 400_000
_BETWEEN_STOPS = 2_000
_DEEP = 10**12
_MARKS_MAX = 50
Context = grpc.aio.ServicerContext[Any, Any]


class _Asset:
    """One asset's book, and how many of its stops have been reached.

    A book's mark is kept and changed in place: building it anew for each delta takes a quarter of a
    core, beside what is measured.
    """

    def __init__(self, number: int, rng: random.Random) -> None:
        self.asset_id = str(number + 1)
        self.reached = 0
        self.dipped_ns = 0
        self._book = books_pb.Mark(
            asset_id=self.asset_id,
            status=books_pb.BOOK_STATUS_FRESH,
            market=books_pb.MarketInfo(
                asset_id=self.asset_id,
                condition_id=f"0x{number + 1:064x}",
                tick_micros=1_000,
                min_size_micros=5_000_000,
                category="other",
            ),
        )
        for sizes in (self._book.bid_sizes_micros, self._book.ask_sizes_micros):
            sizes[:] = [_size(rng) for _ in range(_LEVELS)]
        self._place(_BEST_BID)

    def move(self, rng: random.Random) -> None:
        """Change the size of one level, or the best price, or how good the book is."""
        fresh, stale = books_pb.BOOK_STATUS_FRESH, books_pb.BOOK_STATUS_STALE
        self._book.status = stale if rng.random() < _STALES else fresh
        if rng.random() < _SHIFTS:
            best = self._book.bid_prices_micros[0] + rng.choice((-_CENT, _CENT))
            self._place(min(max(best, _LOWEST_BEST), _HIGHEST_BEST))
            return
        sizes = rng.choice((self._book.bid_sizes_micros, self._book.ask_sizes_micros))
        sizes[rng.randrange(_LEVELS)] = _size(rng)

    def _place(self, best_bid: int) -> None:
        self._book.bid_prices_micros[:] = [best_bid - _CENT * n for n in range(_LEVELS)]
        self._book.ask_prices_micros[:] = [best_bid + _CENT * (2 + n) for n in range(_LEVELS)]

    @property
    def stale(self) -> bool:
        """Nothing is judged on it."""
        return self._book.status == books_pb.BOOK_STATUS_STALE

    def dip(self) -> None:
        """Fall to the next stop."""
        self.reached += 1
        self.dipped_ns = time.monotonic_ns()

    def mark(self) -> books_pb.Mark:
        """The present mark; not to be kept."""
        now_ns = time.time_ns()
        self._book.revision += 1
        self._book.book_ms = now_ns // 1_000_000
        self._book.received_ns = now_ns
        return self._dipped() if self.dipped_ns else self._book

    def _dipped(self) -> books_pb.Mark:
        found = books_pb.Mark()
        found.CopyFrom(self._book)
        found.bid_prices_micros[:] = [_HIGHEST_STOP - _BETWEEN_STOPS * (self.reached - 1)]
        found.bid_sizes_micros[:] = [_DEEP]
        return found


def _size(rng: random.Random) -> int:
    return rng.randrange(100, 1_000) * 1_000_000


class Market(books_rpc.BookfeedServiceServicer):
    """Serves one guard.

    Args:
        assets: how many there are.
        stops: that each of them has.
        seed: decides which book moves how.
    """

    def __init__(self, *, assets: int, stops: int, seed: int = 1) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self._assets = [_Asset(number, self._rng) for number in range(assets)]
        self._stops = stops
        self._by_id = {asset.asset_id: asset for asset in self._assets}
        self._reader = Reader(None)
        self._dipped: dict[str, _Asset] = {}
        self.requested = asyncio.Event()
        """The guard has loaded its triggers and wants to know the marks."""

    @property
    def dips(self) -> int:
        """Return how many wait for their exit."""
        return len(self._dipped)

    def move(self, count: int) -> None:
        """So many changes of books that are not in a dip."""
        for _ in range(count):
            asset = self._rng.choice(self._assets)
            if asset.dipped_ns == 0:
                asset.move(self._rng)
                self._reader.touch(asset.asset_id)

    def dip(self) -> None:
        """Let one asset's bid fall to its next stop."""
        able = [
            asset
            for asset in self._assets
            if asset.dipped_ns == 0 and asset.reached < self._stops and not asset.stale
        ]
        asset = self._rng.choice(able)
        asset.dip()
        self._dipped[asset.asset_id] = asset
        self._reader.touch(asset.asset_id)

    def came(self, orders: Mapping[str, int]) -> list[Taken]:
        """End the dips whose exits came; when each began, and how long it took.

        Args:
            orders: when the exit of an asset came, monotonic nanoseconds.
        """
        taken = []
        for asset_id, came_ns in orders.items():
            asset = self._dipped.pop(asset_id)
            taken.append(Taken(asset.dipped_ns, (came_ns - asset.dipped_ns) / 1e6))
            asset.dipped_ns = 0
            self._reader.touch(asset_id)
        return taken

    async def StreamMarks(
        self, request: books_pb.StreamMarksRequest, context: Context
    ) -> AsyncIterator[books_pb.StreamMarksResponse]:
        for asset in self._assets:
            self._reader.touch(asset.asset_id)
        self.requested.set()
        while True:
            changed = await self._reader.changed(_MARKS_MAX, CHECKPOINT_SECONDS)
            marks = [self._by_id[asset_id].mark() for asset_id in changed]
            yield books_pb.StreamMarksResponse(marks=marks, cursor="b-1")

    async def GetBook(
        self, request: books_pb.GetBookRequest, context: Context
    ) -> books_pb.GetBookResponse:
        raise NotFound("only the stream tells books here", kind="asset", id=request.asset_id)

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: Context
    ) -> common.AcknowledgeResponse:
        return common.AcknowledgeResponse()
