"""Reads what was booked over time, what was copied and what was not."""

from __future__ import annotations

import asyncio

import redis.asyncio as redis
import structlog
from google.protobuf.message import DecodeError

from services.control.parsing import refuse
from services.control.quality.series import HOUR_S
from services.control.statistics.performance import BookOf
from services.control.store import Row, Store, queries
from services.control.subscription_row import not_found
from tradingtools.codec.marks import book_from_pb
from tradingtools.domain.book import Book
from tradingtools.storage.redis import documents, mark_board
from tradingtools.v1.bookfeed_service_pb2 import Mark
from tradingtools.v1.enrichment_pb2 import MarketFacts

_SQL = queries("quality/queries")
_MAX = 10_000
"""Orders, and as many decisions, of an answer: what a core computes in some 200 ms."""
_SUBSCRIPTIONS = 1_000
_log = structlog.get_logger("control.quality")


class Quality:
    """Rows of the ledger.

    Args:
        store: of the ledger.
        client: of Redis, decoding nothing: marks and payouts.
        book: the newest book of an asset.
    """

    def __init__(self, store: Store, client: redis.Redis, book: BookOf) -> None:
        self._store = store
        self._client = client
        self._book = book
        self._turn = asyncio.Semaphore(1)

    async def series(self, identifier: str, from_s: int, to_s: int) -> Row:
        """Return a subscription's hours, lots and marks, of one instant.

        Args:
            identifier: the subscription's.
            from_s: marks of hours that end after it.
            to_s: and up to it, seconds since the epoch.

        Raises:
            NotFound: there is no such subscription.
        """
        rows = await self._store.rows(
            _SQL["series"], id=identifier, from_s=from_s - HOUR_S, to_s=to_s
        )
        if not rows:
            raise not_found(identifier)
        return rows[0]

    async def subscriptions(self, *, identifier: str = "", proxy: str = "") -> list[Row]:
        """Return what sizes a subscription's copies, or those of a wallet's.

        Raises:
            NotFound: there is no such subscription.
        """
        rows = await self._store.rows(
            _SQL["subscriptions_of"], id=identifier, proxy=proxy, limit=_SUBSCRIPTIONS
        )
        if identifier and not rows:
            raise not_found(identifier)
        return rows

    async def copies(self, of: list[str], from_ms: int, to_ms: int) -> list[Row]:
        """Return orders of copies, newest first. Raises InvalidField: there are too many."""
        return await self._some("copies", of, from_ms, to_ms)

    async def skips(self, of: list[str], from_ms: int, to_ms: int) -> list[Row]:
        """Return trades that were not copied. Raises InvalidField: there are too many."""
        return await self._some("skips", of, from_ms, to_ms)

    async def _some(self, name: str, of: list[str], from_ms: int, to_ms: int) -> list[Row]:
        # One at a time: of the few connections for reads others have the rest.
        async with self._turn:
            rows = await self._store.rows(
                _SQL[name], ids=of, from_ms=from_ms, to_ms=to_ms, limit=_MAX + 1
            )
        if len(rows) > _MAX:
            raise refuse("fromMs", f"a time with at most {_MAX} orders and {_MAX} skipped trades")
        return rows

    async def books(self, assets: set[str]) -> dict[str, Book]:
        """Return the newest books of outcomes: those in memory, and those on the board in Redis."""
        found = {asset: book for asset in assets if (book := self._book(asset)) is not None}
        for mark in await mark_board.read(self._client, sorted(assets - set(found))):
            try:
                book = book_from_pb(Mark.FromString(mark))
            except (DecodeError, ValueError) as error:
                _log.warning("a mark is left out", error=str(error))
                continue
            found[book.market.asset_id] = book
        return found

    async def payouts(self, conditions: set[str]) -> dict[str, int]:
        """Return what a share of each outcome of resolved markets pays, as far as it is known."""
        try:
            version = await documents.version(self._client, "markets")
            facts = version and await documents.some(
                self._client, "markets", version, sorted(conditions)
            )
        except redis.RedisError as error:
            _log.warning("no payouts read", error=str(error))
            return {}
        found: dict[str, int] = {}
        for body in facts.by_id.values() if facts else ():
            market = MarketFacts.FromString(body)
            if market.payout_micros:
                found |= zip(market.asset_ids, market.payout_micros, strict=False)
        return found
