"""Best prices for the collar: as bookfeed tells them now and then, and as it answers when asked.

What is kept here may be a second old, and costs the copy path nothing: marks are read a few times a
second and opened only when an order is compared. Whoever is to be held back by one asks first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import grpc
import structlog

from services.executor.core.collar import Quote
from tradingtools import clock
from tradingtools.rpc import streams
from tradingtools.runtime.books import RETAINED, SILENT_SECONDS
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

_log = structlog.get_logger("executor.quotes")
_PAUSE_SECONDS = 0.25
_FULL = 50
"""Marks of a message behind which more are likely to wait."""
_ASK_SECONDS = 0.5


class Quotes:
    """Best prices of fresh books.

    Args:
        channel: to bookfeed, of which a slow reader gets the newest.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = rpc.BookfeedServiceStub(channel)
        self._marks: OrderedDict[str, pb.Mark] = OrderedDict()
        self._last_message = clock.monotonic()

    async def keep(self) -> None:
        """Follow the marks of all watched assets for ever."""
        async for response in streams.read("quotes", self._open, ""):
            self._last_message = clock.monotonic()
            for asset_id in response.let_go:
                self._marks.pop(asset_id, None)
            for mark in response.marks:
                self._marks[mark.asset_id] = mark
                self._marks.move_to_end(mark.asset_id)
            while len(self._marks) > RETAINED:
                self._marks.popitem(last=False)
            if len(response.marks) < _FULL:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _open(self, cursor: str) -> Any:
        # What the new stream does not tell may be old.
        self._marks.clear()
        return self._stub.StreamMarks(pb.StreamMarksRequest(cursor=cursor))

    def known(self, asset_id: str) -> Quote | None:
        """Return the last reported quote of a fresh book; None: there is none."""
        mark = self._marks.get(asset_id)
        if mark is None or clock.monotonic() - self._last_message >= SILENT_SECONDS:
            return None
        return _quote(mark)

    async def quote(self, asset_id: str) -> Quote | None:
        """Return the quote of the present book; None: it is not fresh, or there is no answer."""
        try:
            response = await self._stub.GetBook(
                pb.GetBookRequest(asset_id=asset_id), timeout=_ASK_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            _log.warning("no book", asset=asset_id, code=error.code().name)
            return None
        return _quote(response.mark)


def _quote(mark: pb.Mark) -> Quote | None:
    if mark.status != pb.BOOK_STATUS_FRESH:
        return None
    return Quote(
        mark.bid_prices_micros[0] if mark.bid_prices_micros else None,
        mark.ask_prices_micros[0] if mark.ask_prices_micros else None,
    )
