"""Notes the bids of what is held, hour by hour, for what it was worth then.

Before it: bookfeed's marks. After it: `series`.
"""

from __future__ import annotations

import asyncio

import structlog

from services.control.statistics.performance import BookOf
from services.control.store import Store, queries
from tradingtools import clock
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.errors import Unavailable

_SQL = queries("quality/queries")
_log = structlog.get_logger("control.quality")
FOLD = _SQL["fold"]
"""The step that `statistics.compaction` repeats."""
_POLL_SECONDS = 30.0
"""Between two notes of what is held: the last one of an hour is at most so old at its end."""


async def poll(store: Store, book: BookOf) -> None:
    """Note bids for ever; what nobody looked at in an hour has no mark then."""
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        try:
            await note(store, book, clock.now_ms())
        except Unavailable:
            pass
        except Exception as error:  # noqa: BLE001 - the next look is soon
            _log.error("marks not noted", exc_info=error)


async def note(store: Store, book: BookOf, at_ms: int) -> None:
    """Note the bids of what is held. Raises Unavailable."""
    held = [row["asset_id"] for row in await store.rows(_SQL["held"])]
    bids = {asset_id: _bid(book(asset_id)) for asset_id in held}
    known = {asset_id: bid for asset_id, bid in bids.items() if bid is not None}
    if known:
        await store.rows(
            _SQL["note_marks"], at_ms=at_ms, assets=list(known), bids=list(known.values())
        )


def _bid(book: Book | None) -> int | None:
    if book is None:
        return None
    if book.market.payout_micros is not None:
        return book.market.payout_micros
    if book.status is not BookStatus.FRESH:
        return None
    return book.bids[0][0] if book.bids else 0
