"""The newest book of every watched asset, in memory; a first one is asked for."""

from __future__ import annotations

from typing import Any

import grpc
import structlog

from tradingtools.codec.marks import book_from_pb
from tradingtools.domain.book import Book
from tradingtools.runtime import streams
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

_log = structlog.get_logger("router.books")


class Books:
    """Books as bookfeed publishes them.

    Args:
        channel: to bookfeed.
        timeout_ms: how long a first book may take.
    """

    def __init__(self, channel: grpc.aio.Channel, timeout_ms: int) -> None:
        self._stub: Any = rpc.BookfeedServiceStub(channel)
        self._timeout = timeout_ms / 1000
        self._books: dict[str, Book] = {}

    async def keep(self) -> None:
        """Follow the marks of all watched assets for ever."""
        async for response in streams.read(
            "marks", lambda cursor: self._stub.StreamMarks(pb.StreamMarksRequest(cursor=cursor)), ""
        ):
            for mark in response.marks:
                self._books[mark.asset_id] = book_from_pb(mark)

    async def get(self, asset_id: str) -> Book | None:
        """The asset's book; None when it cannot be had in time."""
        known = self._books.get(asset_id)
        if known is not None:
            return known
        try:
            response = await self._stub.GetBook(
                pb.GetBookRequest(asset_id=asset_id), timeout=self._timeout
            )
        except (TimeoutError, grpc.aio.AioRpcError) as error:
            _log.warning("no book", asset=asset_id, error=str(error)[:200])
            return None
        book = book_from_pb(response.mark)
        self._books.setdefault(asset_id, book)
        return self._books[asset_id]
