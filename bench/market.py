"""bookfeed and confirm in the benchmark's hands: books that move, and dips that reach one stop.

Books flap between 0.20 and 0.49 at the bid, where no trigger is reached. A dip is a book whose only
bid is the price of the next stop-loss of its asset; it stays until that exit has come.
A guard that is slow to read gets the newest mark of each asset, as it does from bookfeed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from services.bookfeed.hub import Reader
from tradingtools.domain.errors import NotFound
from tradingtools.runtime.streams import CHECKPOINT_SECONDS
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import common_pb2 as common

_CENT = 10_000
_LEVELS = 30
_BEST_BID = 490_000
_HIGHEST_STOP = 400_000
_BETWEEN_STOPS = 2_000
_DEEP = 10**12
_MARKS_MAX = 50
Context = grpc.aio.ServicerContext[Any, Any]


class _Asset:
    """One asset's book, and how many of its stops have been reached."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.asset_id = str(number + 1)
        self.condition_id = f"0x{number + 1:064x}"
        self.bids = [rng.randrange(100, 1_000) * 1_000_000 for _ in range(_LEVELS)]
        self.asks = [rng.randrange(100, 1_000) * 1_000_000 for _ in range(_LEVELS)]
        self.revision = 0
        self.reached = 0
        self.dipped_ns = 0

    def move(self, rng: random.Random) -> None:
        """Change the size of one level."""
        side = rng.choice((self.bids, self.asks))
        side[rng.randrange(_LEVELS)] = rng.randrange(100, 1_000) * 1_000_000

    def dip(self) -> None:
        """Fall to the next stop."""
        self.reached += 1
        self.dipped_ns = time.monotonic_ns()

    def mark(self) -> books_pb.Mark:
        """The present mark."""
        self.revision += 1
        bids = [(_BEST_BID - _CENT * n, size) for n, size in enumerate(self.bids)]
        if self.dipped_ns:
            bids = [(_HIGHEST_STOP - _BETWEEN_STOPS * (self.reached - 1), _DEEP)]
        level, now_ns = books_pb.BookLevel, time.time_ns()
        asks = ((_BEST_BID + _CENT * (2 + n), size) for n, size in enumerate(self.asks))
        return books_pb.Mark(
            asset_id=self.asset_id,
            bids=[level(price_micros=price, size_micros=size) for price, size in bids],
            asks=[level(price_micros=price, size_micros=size) for price, size in asks],
            status=books_pb.BOOK_STATUS_FRESH,
            book_ms=now_ns // 1_000_000,
            received_ns=now_ns,
            revision=self.revision,
            market=books_pb.MarketInfo(
                asset_id=self.asset_id,
                condition_id=self.condition_id,
                tick_micros=1_000,
                min_size_micros=5_000_000,
                category="other",
            ),
        )


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
        self.asked = asyncio.Event()
        """The guard has loaded its triggers and wants to know the marks."""

    @property
    def dips(self) -> int:
        """How many wait for their exit."""
        return len(self._dipped)

    def move(self, count: int) -> None:
        """So many changes of one level each, of books that are not in a dip."""
        for _ in range(count):
            asset = self._rng.choice(self._assets)
            if asset.dipped_ns == 0:
                asset.move(self._rng)
                self._reader.touch(asset.asset_id)

    def dip(self) -> None:
        """Let one asset's bid fall to its next stop."""
        able = [a for a in self._assets if a.dipped_ns == 0 and a.reached < self._stops]
        asset = self._rng.choice(able)
        asset.dip()
        self._dipped[asset.asset_id] = asset
        self._reader.touch(asset.asset_id)

    def came(self, orders: Mapping[str, int]) -> list[float]:
        """End the dips whose exits came; how long each had taken, milliseconds.

        Args:
            orders: when the exit of an asset came, monotonic nanoseconds.
        """
        taken = []
        for asset_id, came_ns in orders.items():
            asset = self._dipped.pop(asset_id)
            taken.append((came_ns - asset.dipped_ns) / 1e6)
            asset.dipped_ns = 0
            self._reader.touch(asset_id)
        return taken

    async def StreamMarks(
        self, request: books_pb.StreamMarksRequest, context: Context
    ) -> AsyncIterator[books_pb.StreamMarksResponse]:
        for asset in self._assets:
            self._reader.touch(asset.asset_id)
        self.asked.set()
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
