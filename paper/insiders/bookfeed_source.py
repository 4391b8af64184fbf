"""Books of bookfeed over gRPC, for paper trading on the engine's own market data.

`Books` asks; an answer is kept for at most 50 ms and one question at a time is under way for an
asset, so that a fan-out of a thousand orders costs one call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import grpc
import grpc.aio

from paper.insiders.books import BookUnavailable
from paper.insiders.core.model import Level, MarketBook
from tradingtools.codec.marks import asks_of, bids_of
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

FRESH_S = 0.05
"""How long an answer may be used again."""
_RETAINED = 1024


class BookfeedSource:
    """`BookSource` over `BookfeedService.GetBook`."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stub = rpc.BookfeedServiceStub(channel)
        self._timeout_s = timeout_s
        self._clock = clock
        self._known: dict[str, tuple[float, MarketBook | None]] = {}
        self._requested: dict[str, asyncio.Task[MarketBook | None]] = {}

    async def book(self, asset_id: str) -> MarketBook | None:
        """The asset's book, at most 50 ms old; None when the venue knows no such asset.

        Raises BookUnavailable when bookfeed or the venue does not answer in time.
        """
        known = self._known.get(asset_id)
        if known is not None and self._clock() - known[0] <= FRESH_S:
            return known[1]
        task = self._requested.get(asset_id)
        if task is None:
            task = asyncio.create_task(self._ask(asset_id))
            self._requested[asset_id] = task
            task.add_done_callback(lambda _: self._requested.pop(asset_id, None))
        # Shielded: one caller that gives up must not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, asset_id: str) -> MarketBook | None:
        requested = self._clock()
        try:
            response = await self._stub.GetBook(
                pb.GetBookRequest(asset_id=asset_id), timeout=self._timeout_s
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                self._known[asset_id] = (requested, None)
                return None
            raise BookUnavailable(f"bookfeed: {error.code().name}") from error
        book = from_mark(response.mark)
        if len(self._known) >= _RETAINED:
            self._known.clear()
        self._known[asset_id] = (requested, book)
        return book


def from_mark(mark: pb.Mark) -> MarketBook:
    """A mark as a book.

    A stale or crossed book has no levels here: nothing real could be filled against it. The mark
    has no time per level, so a level counts as changed when its size does.
    """
    tradable = mark.status == pb.BOOK_STATUS_FRESH
    market = mark.market
    return MarketBook(
        asset_id=mark.asset_id,
        condition_id=market.condition_id or None,
        tick=market.tick_micros,
        min_size=market.min_size_micros,
        fee_rate=market.fee_rate_micros,
        category=market.category or "other",
        closed=market.closed,
        payout=market.payout_micros if market.HasField("payout_micros") else None,
        bids=_levels(bids_of(mark)) if tradable else (),
        asks=_levels(asks_of(mark)) if tradable else (),
    )


def _levels(levels: Iterable[tuple[int, int]]) -> tuple[Level, ...]:
    return tuple(Level(price=price, size=size) for price, size in levels)
