"""bookfeed and confirm in the benchmark's hands: books that move, and dips that reach one stop.

Books flap between 0.20 and 0.49 at the bid, where no trigger is reached. A dip is a book whose only
bid is the price of the next stop-loss of its asset; it stays until that exit has come.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from tradingtools.domain.errors import NotFound
from tradingtools.runtime.streams import CHECKPOINT_SECONDS
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc

_CENT = 10_000
_LEVELS = 30
_BEST_BID = 490_000
_HIGHEST_STOP = 400_000
_BETWEEN_STOPS = 2_000
_DEEP = 10**12
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

    def mark(self, bids: list[tuple[int, int]]) -> books_pb.Mark:
        """The present mark with these bids."""
        self.revision += 1
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

    def usual(self) -> books_pb.Mark:
        """The book between two dips."""
        return self.mark([(_BEST_BID - _CENT * n, size) for n, size in enumerate(self.bids)])


class Market(books_rpc.BookfeedServiceServicer, confirm_rpc.ConfirmServiceServicer):
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
        self._said: asyncio.Queue[list[books_pb.Mark]] = asyncio.Queue()
        self._dipped: dict[str, _Asset] = {}
        self.asked = asyncio.Event()
        """The guard has loaded its triggers and wants to know the marks."""

    @property
    def dips(self) -> int:
        """How many wait for their exit."""
        return len(self._dipped)

    def move(self, count: int) -> None:
        """So many changes of one level each, of books that are not in a dip."""
        marks = []
        for _ in range(count):
            asset = self._rng.choice(self._assets)
            if asset.dipped_ns == 0:
                side = self._rng.choice((asset.bids, asset.asks))
                side[self._rng.randrange(_LEVELS)] = self._rng.randrange(100, 1_000) * 1_000_000
                marks.append(asset.usual())
        if marks:
            self._said.put_nowait(marks)

    def dip(self) -> None:
        """Let one asset's bid fall to its next stop."""
        able = [a for a in self._assets if a.dipped_ns == 0 and a.reached < self._stops]
        asset = self._rng.choice(able)
        price = _HIGHEST_STOP - _BETWEEN_STOPS * asset.reached
        asset.reached += 1
        self._dipped[asset.asset_id] = asset
        mark = asset.mark([(price, _DEEP)])
        asset.dipped_ns = time.monotonic_ns()
        self._said.put_nowait([mark])

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
            self._said.put_nowait([asset.usual()])
        return taken

    async def StreamMarks(
        self, request: books_pb.StreamMarksRequest, context: Context
    ) -> AsyncIterator[books_pb.StreamMarksResponse]:
        yield books_pb.StreamMarksResponse(marks=[a.usual() for a in self._assets], cursor="b-0")
        self.asked.set()
        while True:
            yield books_pb.StreamMarksResponse(marks=await self._said.get(), cursor="b-1")

    async def GetBook(
        self, request: books_pb.GetBookRequest, context: Context
    ) -> books_pb.GetBookResponse:
        raise NotFound("only the stream tells books here", kind="asset", id=request.asset_id)

    async def StreamFills(
        self, request: confirm_pb.StreamFillsRequest, context: Context
    ) -> AsyncIterator[confirm_pb.StreamFillsResponse]:
        while True:
            yield confirm_pb.StreamFillsResponse(cursor="0")
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: Context
    ) -> common.AcknowledgeResponse:
        return common.AcknowledgeResponse()
