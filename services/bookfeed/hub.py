"""Hold all watched assets and their marks, and notify their readers.

A reader has a set of assets that changed since it looked, not a queue: a slow one gets the newest
mark of each and costs nothing. A mark is built when somebody reads it, once for each state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from services.bookfeed import metrics
from services.bookfeed.core.book_state import BookState, Status
from tradingtools import clock
from tradingtools.codec.marks import columns
from tradingtools.v1 import bookfeed_service_pb2 as pb

_LASTING_MS = 10_000
_log = structlog.get_logger("bookfeed")
_STATUSES = {
    Status.FRESH: pb.BOOK_STATUS_FRESH,
    Status.STALE: pb.BOOK_STATUS_STALE,
    Status.CROSSED: pb.BOOK_STATUS_CROSSED,
    Status.EMPTY: pb.BOOK_STATUS_EMPTY,
}

LastMessage = Callable[[str], int | None]
"""When anything was received on an asset's connection, monotonic ms; None: it is down."""


Missed = Callable[[str], None]
"""A look has found that an asset's connection keeps something to itself."""


def now_ms() -> int:
    """Return monotonic milliseconds."""
    return clock.monotonic_ns() // 1_000_000


class Reader:
    """One open stream: which assets it wants (None: all) and which changed."""

    def __init__(self, assets: frozenset[str] | None) -> None:
        self._assets = assets
        self._changed: dict[str, None] = {}
        self._woken = asyncio.Event()

    def touch(self, asset_id: str) -> None:
        """Note that an asset changed."""
        if self._assets is None or asset_id in self._assets:
            self._changed[asset_id] = None
            self._woken.set()

    async def changed(self, limit: int, timeout_s: float) -> list[str]:
        """Return assets changed since they were taken last, oldest first; none on a timeout."""
        if not self._changed:
            self._woken.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()
            except TimeoutError:
                return []
        taken = list(self._changed)[:limit]
        for asset_id in taken:
            del self._changed[asset_id]
        return taken


class Hub:
    """State of all assets.

    Args:
        stale_ms: see `BookState.status`.
        rest_ms: see there.
        depth: levels published of each side.
    """

    def __init__(self, *, stale_ms: int, rest_ms: int, depth: int) -> None:
        self.tracked: dict[str, BookState] = {}
        self.last_message: LastMessage = lambda _: None
        self.missed: Missed = lambda _: None
        self.sequence = 0
        self._stale_ms = stale_ms
        self._rest_ms = rest_ms
        self._depth = depth
        self._markets: dict[str, pb.MarketInfo] = {}
        self._marks: dict[str, pb.Mark] = {}
        self._readers: set[Reader] = set()
        self._doubts_last = False

    def track(self, asset_id: str) -> BookState:
        """Begin with an asset, or go on with it."""
        found = self.tracked.get(asset_id)
        if found is None:
            found = self.tracked[asset_id] = BookState()
            metrics.WATCHED.add(1)
        return found

    def drop(self, asset_id: str) -> None:
        """Forget an asset, and tell the readers that it is published no more."""
        self._markets.pop(asset_id, None)
        self._marks.pop(asset_id, None)
        if self.tracked.pop(asset_id, None) is not None:
            metrics.WATCHED.add(-1)
            self.changed(asset_id)

    def market(self, asset_id: str) -> pb.MarketInfo | None:
        """Return what is known of the asset's market; not to be changed in place."""
        return self._markets.get(asset_id)

    def set_market(self, asset_id: str, market: pb.MarketInfo) -> None:
        """Take what is known of the asset's market now."""
        tracked = self.tracked.get(asset_id)
        if tracked is None or self._markets.get(asset_id) == market:
            return
        self._markets[asset_id] = market
        tracked.revision += 1
        self.changed(asset_id)

    def markets_of(self, condition_id: str) -> list[str]:
        """Return tracked assets of a condition."""
        return [a for a, market in self._markets.items() if market.condition_id == condition_id]

    def changed(self, asset_id: str) -> None:
        """Tell the readers that an asset's mark is another one."""
        self.sequence += 1
        for reader in self._readers:
            reader.touch(asset_id)

    def open(self, assets: frozenset[str] | None) -> Reader:
        """Return a reader that first gets the present mark of each asset."""
        reader = Reader(assets)
        self._readers.add(reader)
        for asset_id in self.tracked:
            reader.touch(asset_id)
        return reader

    def close(self, reader: Reader) -> None:
        """Forget a reader whose stream has ended."""
        self._readers.discard(reader)

    def status(self, asset_id: str) -> Status:
        """Return whether the asset's book may be traded on, now."""
        tracked = self.tracked[asset_id]
        return tracked.status(
            now_ms(),
            last_message_ms=self.last_message(asset_id),
            stale_ms=self._stale_ms,
            rest_ms=self._rest_ms,
        )

    def notice_statuses(self) -> None:
        """Tell of every status that changed only because time went by, and of lasting doubts."""
        self._notice_doubts()
        for asset_id, tracked in self.tracked.items():
            status = self.status(asset_id)
            if status is not tracked.reported:
                tracked.reported = status
                tracked.revision += 1
                self.changed(asset_id)

    def _notice_doubts(self) -> None:
        now = now_ms()
        doubted = [a for a, one in self.tracked.items() if one.doubted_ms(now) >= _LASTING_MS]
        metrics.doubted(len(doubted))
        if doubted and not self._doubts_last:
            _log.error(
                "books stay in doubt; REST alone tells them",
                alert=True,
                books=len(doubted),
                asset=doubted[0],
            )
        elif self._doubts_last and not doubted:
            _log.info("no book stays in doubt")
        self._doubts_last = bool(doubted)

    def mark(self, asset_id: str) -> pb.Mark | None:
        """Return the present mark; None while tick and smallest order are not known, or no book
        came."""
        tracked, market = self.tracked.get(asset_id), self._markets.get(asset_id)
        if tracked is None or market is None or not tracked.received_ns:
            return None
        status = self.status(asset_id)
        if status is not tracked.reported:
            tracked.reported = status
            tracked.revision += 1
            self.changed(asset_id)
        kept = self._marks.get(asset_id)
        if kept is None or kept.revision != tracked.revision:
            kept = self._marks[asset_id] = self._build(asset_id, tracked, market, status)
        return kept

    def marks(self, asset_ids: Iterable[str]) -> list[pb.Mark]:
        """Return present marks of those assets that have one."""
        found = (self.mark(asset_id) for asset_id in asset_ids)
        return [mark for mark in found if mark is not None]

    def _build(
        self, asset_id: str, tracked: BookState, market: pb.MarketInfo, status: Status
    ) -> pb.Mark:
        return pb.Mark(
            asset_id=asset_id,
            **columns(tracked.book.bids(self._depth), tracked.book.asks(self._depth)),
            status=_STATUSES[status],
            book_ms=tracked.book_ms,
            received_ns=tracked.received_ns,
            market=market,
            revision=tracked.revision,
        )
