"""The newest book of every watched asset, in memory, for processes that decide by it.

A book is only as good as the stream that brings it: when that is silent, every book counts as
stale until it speaks again, and when another one has taken its place, until that one has reported
it: what bookfeed does not watch any more would stay as it is for ever. Reading and telling are two
tasks: whoever is slow to take a book, as when the database is away, gets the newest next, and the
stream does not look silent meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import grpc
import structlog
from msgspec import structs

from tradingtools import clock
from tradingtools.codec.marks import book_from_pb
from tradingtools.domain.book import Book, BookStatus
from tradingtools.rpc import streams
from tradingtools.tasks import until_one_ends
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

_log = structlog.get_logger("books")

RETAINED = 20_000
SILENT_SECONDS = 3 * streams.CHECKPOINT_SECONDS
_WATCH_SECONDS = 0.5
_CONDITION_MAX = 128
"""Characters that the contract takes."""

AT_ONCE = 50
"""Books that are delivered at once: who takes them may do for all what each would cost."""
BEGUN_AT_ONCE = 8
"""Books that are asked for before anybody waits: a backlog must not be a flood of questions."""
OnBooks = Callable[[Sequence[Book]], Awaitable[None]]


class Books:
    """Books as bookfeed publishes them.

    Args:
        channel: to bookfeed.
        timeout_ms: how long a first book may take when it is asked for.
        asks: False leaves them out, for who only sells.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout_ms: int, asks: bool = True) -> None:
        self._stub: Any = rpc.BookfeedServiceStub(channel)
        self._timeout = timeout_ms / 1000
        self._asks = asks
        self._books: OrderedDict[str, Book] = OrderedDict()
        self._doubted: set[str] = set()
        """Those that the present stream has not reported: it may never."""
        self._doubts_due: float | None = None
        """When what is still in doubt counts as stale."""
        self._unfit: set[str] = set()
        """Those whose newest mark is no book."""
        self._begins = False
        self._started: dict[str, asyncio.Task[Book | None]] = {}
        """What somebody will wait for."""
        self._pending: dict[str, None] = {}
        self._to_deliver = asyncio.Event()
        self._last_message = clock.monotonic()
        self._silent = False

    async def keep(self, on_books: OnBooks | None = None) -> None:
        """Follow the marks of all watched assets for ever.

        Args:
            on_books: called with the newest books of assets that have another one, or whose book
                became stale or good again: those that came while it was called the last time.
        """
        delivering = () if on_books is None else (self._deliver(on_books),)
        await until_one_ends(self._follow(), self._watch(), *delivering)

    async def _follow(self) -> None:
        async for response in streams.read("marks", self._open, ""):
            self._last_message = clock.monotonic()
            if self._begins:
                # Not before: while nobody answers, what was reported lately is the best there is.
                self._begins = False
                self._doubted = set(self._books)
                self._doubts_due = self._last_message + SILENT_SECONDS
            if self._silent:
                self._silent = False
                self._touch(*self._books)
            # Kept as it was: on a stale book an exit may leave, on none at all it waits.
            self._doubt(response.let_go)
            for mark in response.marks:
                self._take(mark)

    def _open(self, cursor: str) -> Any:
        self._begins = True
        return self._stub.StreamMarks(pb.StreamMarksRequest(cursor=cursor))

    def _doubt(self, asset_ids: Iterable[str]) -> None:
        known = self._books.keys() & asset_ids
        self._doubted |= known
        self._touch(*known)

    def _take(self, mark: pb.Mark) -> None:
        """Keep a mark's book. One that is no book costs its asset's alone: the book of before is
        stale until a good one comes."""
        try:
            book = book_from_pb(mark, asks=self._asks)
        except ValueError as error:
            if mark.asset_id not in self._unfit:
                self._unfit.add(mark.asset_id)
                _log.error("a mark is no book; left out until a good one comes", error=str(error))
            self._doubt([mark.asset_id])
            return
        self._unfit.discard(mark.asset_id)
        self._keep(book)

    def _keep(self, book: Book) -> None:
        asset_id = book.market.asset_id
        self._books[asset_id] = book
        self._books.move_to_end(asset_id)
        self._doubted.discard(asset_id)
        while len(self._books) > RETAINED:
            self._forget(next(iter(self._books)))
        self._pending[asset_id] = None
        self._to_deliver.set()

    def _forget(self, asset_id: str) -> None:
        self._books.pop(asset_id, None)
        self._doubted.discard(asset_id)
        self._unfit.discard(asset_id)

    def _touch(self, *asset_ids: str) -> None:
        self._pending.update(dict.fromkeys(asset_ids))
        self._to_deliver.set()

    async def _deliver(self, on_books: OnBooks) -> None:
        while True:
            await self._to_deliver.wait()
            self._to_deliver.clear()
            while self._pending:
                some = list(islice(self._pending, AT_ONCE))
                for asset_id in some:
                    del self._pending[asset_id]
                await on_books(self._present(some))

    def pending_books(self) -> list[Book]:
        """Return the books to deliver, as they are now."""
        return self._present(self._pending)

    def _present(self, asset_ids: Iterable[str]) -> list[Book]:
        known = (self.known(asset_id) for asset_id in asset_ids)
        return [book for book in known if book is not None]

    async def _watch(self) -> None:
        """Nothing, not even a checkpoint, came for a while: no book may be traded on."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._doubts_due is not None and clock.monotonic() >= self._doubts_due:
                self._doubts_due = None
                self._touch(*self._doubted)
            if self._silent or not self._has_been_silent():
                continue
            self._silent = True
            _log.warning("no marks; all books count as stale", books=len(self._books))
            self._touch(*self._books)

    @property
    def silent(self) -> bool:
        """Return whether nothing comes, and no book may be traded on."""
        return self._silent

    def _has_been_silent(self) -> bool:
        return clock.monotonic() - self._last_message >= SILENT_SECONDS

    def known(self, asset_id: str) -> Book | None:
        """Return the asset's book if it is in memory."""
        book = self._books.get(asset_id)
        doubted = self._silent or asset_id in self._doubted
        return _stale(book) if book is not None and doubted else book

    def smallest(self, asset_id: str) -> int | None:
        """Return the smallest order of the asset's market, micros of shares; None: not in
        memory."""
        book = self._books.get(asset_id)
        return None if book is None else book.market.min_size_micros

    async def get(
        self, asset_id: str, *, condition_id: str = "", levels: bool = True
    ) -> Book | None:
        """Return the asset's book, asked for when it is not in memory or nobody tells of it any
        more; None when it cannot be had.

        Args:
            asset_id: of the outcome.
            condition_id: its condition, if it is known: it saves a question to the venue.
            levels: False takes one that is UNSEEN, too, which costs no question to the venue.
        """
        if not self.wanting(asset_id, levels):
            return self.known(asset_id)
        started = self._started.get(asset_id) if levels else None
        if started is not None:
            # Shielded: one who gives up must not take the answer from the others.
            await asyncio.shield(started)
            return self.known(asset_id)
        return await self._fetch(asset_id, condition_id, levels=levels)

    def begin(self, asset_id: str, condition_id: str) -> None:
        """Begin to ask for a book that somebody will wait for, unless it is in memory.

        While as many are under way as `BEGUN_AT_ONCE` nothing is asked for: whoever waits asks.
        """
        full = len(self._started) >= BEGUN_AT_ONCE
        if full or asset_id in self._started or not self.wanting(asset_id, levels=True):
            return
        task = asyncio.create_task(self._fetch(asset_id, condition_id, levels=True))
        self._started[asset_id] = task
        task.add_done_callback(lambda _: self._started.pop(asset_id, None))

    async def _fetch(self, asset_id: str, condition_id: str, *, levels: bool) -> Book | None:
        request = pb.GetBookRequest(
            asset_id=asset_id,
            condition_id=condition_id if len(condition_id) <= _CONDITION_MAX else "",
            market_suffices=not levels,
        )
        try:
            response = await self._stub.GetBook(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            _log.warning("no book", asset=asset_id, code=error.code().name)
            return self.known(asset_id)
        # Else the stream has reported a newer one meanwhile, or what was reported before says more.
        unseen = response.mark.status == pb.BOOK_STATUS_UNSEEN
        if self.wanting(asset_id, levels) and not (unseen and asset_id in self._books):
            self._take(response.mark)
        return self.known(asset_id)

    def wanting(self, asset_id: str, levels: bool) -> bool:
        """Return whether a book has to be asked for."""
        book = self._books.get(asset_id)
        if book is None or asset_id in self._doubted:
            return True
        return levels and book.status is BookStatus.UNSEEN


def _stale(book: Book) -> Book:
    if book.status is not BookStatus.FRESH:
        return book
    return structs.replace(book, status=BookStatus.STALE)
