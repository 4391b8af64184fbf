"""Request books over REST: to audit them, in doubt, or when no connection keeps them.

Before it: `fetcher`, which asks in each of its turns what is due; after it: `hub`, which takes the
books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from services.bookfeed import metrics
from services.bookfeed.core.book_state import TAKEOVER_MS, BookState
from services.bookfeed.core.snapshot_audit import (
    GRACE_MS,
    LEAD_MS,
    AuditVerdict,
    RestBook,
    SnapshotAudit,
    first_time_ms,
    next_audit_ms,
)
from services.bookfeed.hub import Hub, now_ms
from tradingtools import clock
from tradingtools.domain import errors
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.market_channel import BookMessage

TICK_SECONDS = 0.1
"""Between two turns."""
_log = structlog.get_logger("bookfeed")


class RestBooks:
    """Compares and renews books over REST.

    Args:
        api: of the venue.
        hub: whose books they are.
        slots: for questions at once.
        refresh_soon: has an asset's market asked for: it may have changed.
        look_ms: between two looks at a book.
        quiet_ms: how long a book from REST alone counts as fresh.
    """

    def __init__(
        self,
        api: ClobApi,
        hub: Hub,
        slots: asyncio.Semaphore,
        refresh_soon: Callable[[str], None],
        *,
        look_ms: int,
        quiet_ms: int,
    ) -> None:
        self._api = api
        self._hub = hub
        self._slots = slots
        self._refresh_soon = refresh_soon
        self._poll_ms = look_ms
        self._quiet_ms = quiet_ms

    def due(
        self, asset_id: str, tracked: BookState, now: int
    ) -> Coroutine[None, None, None] | None:
        """Return what is to be asked of an asset's book now, begun already; None: nothing is."""
        if tracked.wants_resync(now) or self._refresh_is_due(asset_id, tracked, now):
            tracked.begin_resync(now)
            return self._resync(asset_id)
        if self._audit_is_due(asset_id, tracked, now):
            return self._audit(asset_id, tracked, tracked.begin_audit())
        return None

    def _audit_is_due(self, asset_id: str, tracked: BookState, now: int) -> bool:
        if not tracked.audit_due_ms:
            tracked.audit_due_ms = first_time_ms(asset_id, now, self._poll_ms)
        if now < tracked.audit_due_ms or tracked.audit is not None:
            return False
        return self._trades(asset_id) and tracked.comparable

    def _refresh_is_due(self, asset_id: str, tracked: BookState, now: int) -> bool:
        """Return whether a book that REST alone tells is to be read again before it is stale."""
        if not tracked.rest_alone:
            tracked.refresh_due_ms = 0
            return False
        if not tracked.refresh_due_ms:
            # A spare connection tells hundreds of books sooner.
            tracked.refresh_due_ms = now + TAKEOVER_MS
        if now < tracked.refresh_due_ms or not self._trades(asset_id):
            return False
        if not tracked.wants_refresh(now):
            return False
        tracked.refresh_due_ms = now + self._quiet_ms * 3 // 5
        return True

    def _trades(self, asset_id: str) -> bool:
        market = self._hub.market(asset_id)
        return market is not None and not market.closed

    async def _audit(self, asset_id: str, tracked: BookState, audit: SnapshotAudit) -> None:
        verdict = AuditVerdict.NONE
        try:
            verdict = await self._judged(asset_id, tracked, audit)
        finally:
            now = now_ms()
            tracked.end_audit(audit, verdict, now)
            tracked.audit_due_ms = next_audit_ms(now, self._poll_ms, self._quiet_ms, tracked.misses)
        metrics.LOOKS.add(1, {"verdict": verdict.value})
        if verdict is AuditVerdict.MISSED:
            _log.warning("the socket does not tell what REST tells", asset=asset_id)
            self._hub.missed(asset_id)

    async def _judged(
        self, asset_id: str, tracked: BookState, audit: SnapshotAudit
    ) -> AuditVerdict:
        await asyncio.sleep(LEAD_MS / 1000)
        try:
            async with self._slots:
                book = await self._api.book(asset_id)
        except errors.TradingError as error:
            _log.warning("book not looked at", asset=asset_id, error=str(error))
            return AuditVerdict.NONE
        if book is None:
            self._refresh_soon(asset_id)
            return AuditVerdict.NONE
        answer, over_ms = rest_book(book), now_ms() + GRACE_MS
        # Another connection, or a resync, ends it without a verdict.
        while tracked.audit is audit and self._hub.tracked.get(asset_id) is tracked:
            verdict = audit.judge(answer, over=now_ms() >= over_ms)
            if verdict is not AuditVerdict.OPEN:
                return verdict
            await asyncio.sleep(TICK_SECONDS)
        return AuditVerdict.NONE

    async def _resync(self, asset_id: str) -> None:
        answer: RestBook | None = None
        before = self._hub.tracked.get(asset_id)
        before_ns = before.received_ns if before else 0
        try:
            async with self._slots:
                book = await self._api.book(asset_id)
            if book is None:
                # No book any more: the market has closed, or is about to be said to have.
                self._refresh_soon(asset_id)
                answer = RestBook((), (), 0)
            else:
                answer = rest_book(book)
        except errors.TradingError as error:
            _log.warning("book in doubt not resynced", asset=asset_id, error=str(error))
        tracked = self._hub.tracked.get(asset_id)
        if tracked is None:
            return
        if answer is not None and is_overtaken(tracked, answer.book_ms, before_ns):
            answer = None
        tracked.end_resync(answer, now_ms=now_ms(), received_ns=clock.now_ns())
        metrics.RESYNCS.add(1, {"outcome": "still in doubt" if tracked.doubtful else "good"})
        self._hub.changed(asset_id)


def rest_book(book: BookMessage) -> RestBook:
    """Return REST's book, as looks and resyncs compare it."""
    return RestBook(book.bids, book.asks, book.book_ms, book.book_hash)


def is_overtaken(tracked: BookState, book_ms: int, before_ns: int) -> bool:
    """Return whether off the socket, where nothing is collected, a newer book came since REST was
    asked.

    Args:
        tracked: the asset.
        book_ms: the venue's time of the answer; 0: there was no book.
        before_ns: what ``received_ns`` was when REST was queried.
    """
    updated_since = tracked.received_ns not in (0, before_ns)
    return not tracked.on_socket and updated_since and book_ms < tracked.book_ms
