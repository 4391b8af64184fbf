"""Records marks of what followers hold, and the books that they find after leaders' buys.

Both are read from the board that bookfeed keeps in Redis, so that the engine's streams have no
reader more. What the store does not take waits in memory; beyond the bound the oldest are lost, and
reported.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable

import redis.asyncio as redis
import structlog
from google.protobuf.message import DecodeError
from msgspec import structs

from services.enrichment import store
from services.enrichment.core import recording
from services.enrichment.core.copyability import DELAYS
from services.enrichment.core.recording import LeaderBookRow, LeaderTradeRow, MarkRow
from tradingtools import clock
from tradingtools.codec.marks import book_from_pb
from tradingtools.domain.book import Book
from tradingtools.domain.errors import Unavailable
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.runtime.instruments import counter, each
from tradingtools.storage.analytics.port import Store
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.redis import mark_board
from tradingtools.tasks import until_one_ends
from tradingtools.v1 import bookfeed_service_pb2 as pb

_SECOND = 1.0
_FLUSH_SECONDS = 5.0
_UNCHANGED_MS = 60_000
"""After which a mark that has not changed is written again: it was looked at."""
_LATE_MS = 1_000
"""A book that was to be looked at longer ago says something else."""
_log = structlog.get_logger("enrichment.sampler")
_LOST = counter(
    "tradingtools.enrichment",
    "analytics_lost",
    "Marks and books that the analytical store has not been told",
    each(what=("marks", "leader_books")),
)


class Sampler:
    """Looks at the board each second.

    Args:
        analytics: where rows go.
        board: Redis, decoding nothing.
        pool: of the deciding database.
        most: rows of each kind that wait.
    """

    def __init__(self, analytics: Store, board: redis.Redis, pool: Pool, most: int) -> None:
        self._analytics = analytics
        self._board = board
        self._pool = pool
        self._held: list[str] = []
        self._held_is_stale = True
        self._newest: dict[str, MarkRow] = {}
        self._due: list[tuple[int, int, int, LeaderTradeRow]] = []
        self._numbered = 0
        self._marks: deque[MarkRow] = deque(maxlen=most)
        self._books: deque[LeaderBookRow] = deque(maxlen=most)

    def traded(self, trade: LeaderTradeRow) -> None:
        """Look at the book of a leader's buy, later."""
        if trade.side != "BUY":
            return
        for delay in DELAYS:
            self._numbered += 1
            at_ms = trade.traded_ms + delay * 1000
            heapq.heappush(self._due, (at_ms, self._numbered, delay, trade))

    def moved(self) -> None:
        """Ask anew what is held."""
        self._held_is_stale = True

    async def run(self) -> None:
        """Sample for ever."""
        await until_one_ends(self._poll(), self._flush())

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_SECOND)
            if self._held_is_stale:
                self._held_is_stale = False
                self._held = await while_database_is_away(lambda: store.held(self._pool))
                self._newest = {a: row for a, row in self._newest.items() if a in set(self._held)}
            due = self._now_due(clock.now_ms())
            desired = {*self._held, *(trade.asset_id for _, trade in due)}
            books = {b.market.asset_id: b for b in await self.books(desired)}
            now_ms = clock.now_ms()
            for asset_id in self._held:
                if asset_id in books:
                    self._note(recording.mark(books[asset_id], now_ms))
            for delay, trade in due:
                book = books.get(trade.asset_id)
                if book is not None and book.usable:
                    self._keep(
                        self._books, recording.leader_book(trade, book, delay, now_ms),
                        "leader_books",
                    )  # fmt: skip

    def _now_due(self, now_ms: int) -> list[tuple[int, LeaderTradeRow]]:
        found = []
        while self._due and self._due[0][0] <= now_ms:
            at_ms, _, delay, trade = heapq.heappop(self._due)
            if now_ms - at_ms <= _LATE_MS + int(_SECOND * 1000):
                found.append((delay, trade))
        return found

    async def books(self, assets: Iterable[str]) -> list[Book]:
        """Return the books that are on the board."""
        found = []
        for body in await mark_board.read(self._board, assets):
            try:
                found.append(book_from_pb(pb.Mark.FromString(body)))
            except (DecodeError, ValueError) as error:
                _log.warning("a mark cannot be read", error=str(error))
        return found

    def _note(self, row: MarkRow) -> None:
        before = self._newest.get(row.asset_id)
        lately = before is not None and row.at_ms - before.at_ms < _UNCHANGED_MS
        if before is not None and lately and structs.replace(row, at_ms=before.at_ms) == before:
            return
        self._newest[row.asset_id] = row
        self._keep(self._marks, row, "marks")

    def _keep(self, kept: deque[MarkRow] | deque[LeaderBookRow], row: object, what: str) -> None:
        if len(kept) == kept.maxlen:
            _LOST.add(1, {"what": what})
        kept.append(row)  # type: ignore[arg-type]

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            for table, kept in (("marks", self._marks), ("leader_books", self._books)):
                rows = list(kept)
                try:
                    await self._analytics.insert(table, rows)
                except Unavailable as error:
                    _log.warning("marks wait for the analytical store", error=str(error)[:200])
                    continue
                # Those that came meanwhile stay, and what was pushed out is counted.
                written = set(map(id, rows))
                while kept and id(kept[0]) in written:
                    kept.popleft()
