"""The newest book of every watched asset, in memory, for processes that decide by it.

A book is only as good as the stream that brings it: when that is silent, every book counts as
stale until it speaks again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import structlog

from tradingtools.adapters import clock
from tradingtools.codec.marks import book_from_pb
from tradingtools.domain.book import Book, BookStatus
from tradingtools.runtime import streams
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

_log = structlog.get_logger("books")

KEPT = 20_000
SILENT_SECONDS = 3 * streams.CHECKPOINT_SECONDS
_WATCH_SECONDS = 0.5

OnBook = Callable[[Book], Awaitable[None]]


class Books:
    """Books as bookfeed publishes them.

    Args:
        channel: to bookfeed.
        timeout_ms: how long a first book may take when it is asked for.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout_ms: int) -> None:
        self._stub: Any = rpc.BookfeedServiceStub(channel)
        self._timeout = timeout_ms / 1000
        self._on_book: OnBook | None = None
        self._books: OrderedDict[str, Book] = OrderedDict()
        self._heard = clock.monotonic()
        self._silent = False

    async def keep(self, on_book: OnBook | None = None) -> None:
        """Follow the marks of all watched assets for ever.

        Args:
            on_book: called with each new book, and with each book that has become stale.
        """
        self._on_book = on_book
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._watch())

    async def _follow(self) -> None:
        async for response in streams.read(
            "marks", lambda cursor: self._stub.StreamMarks(pb.StreamMarksRequest(cursor=cursor)), ""
        ):
            self._heard = clock.monotonic()
            self._silent = False
            for mark in response.marks:
                await self._keep(book_from_pb(mark))

    async def _keep(self, book: Book) -> None:
        self._books[book.market.asset_id] = book
        self._books.move_to_end(book.market.asset_id)
        while len(self._books) > KEPT:
            self._books.popitem(last=False)
        if self._on_book is not None:
            await self._on_book(book)

    async def _watch(self) -> None:
        """Nothing, not even a checkpoint, came for a while: no book may be traded on."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._silent or clock.monotonic() - self._heard < SILENT_SECONDS:
                continue
            self._silent = True
            _log.warning("no marks; all books count as stale", books=len(self._books))
            for book in list(self._books.values()):
                if book.status is BookStatus.FRESH:
                    await self._keep(replace(book, status=BookStatus.STALE))

    def known(self, asset_id: str) -> Book | None:
        """The asset's book if it is in memory."""
        return self._books.get(asset_id)

    async def get(self, asset_id: str) -> Book | None:
        """The asset's book, asked for when it is not in memory; None when it cannot be had."""
        known = self._books.get(asset_id)
        if known is not None:
            return known
        try:
            response = await self._stub.GetBook(
                pb.GetBookRequest(asset_id=asset_id), timeout=self._timeout
            )
        except grpc.aio.AioRpcError as error:
            _log.warning("no book", asset=asset_id, code=error.code().name)
            return None
        if asset_id not in self._books:
            await self._keep(book_from_pb(response.mark))
        return self._books[asset_id]
