"""Decide for which bad books triggers are suspended. Pure.

On a book that is stale, crossed or empty nothing fires, suspended or not. A connection that is lost
goes on over another one within a second: to suspend its thousands of triggers, a row each, and to
arm them again takes far longer, and a stop-loss that the good book reaches would wait for that.
"""

from __future__ import annotations

from tradingtools.domain.book import Book, BookStatus


def is_bad(book: Book) -> bool:
    """Return whether nothing fires on a book; one that is paid out has nothing to wait for."""
    fit = book.status is BookStatus.FRESH and bool(book.bids)
    return not fit and book.market.payout_micros is None


class BadBooks:
    """Since when which books have been bad.

    Args:
        patience_ms: how long that may be until triggers are suspended.
    """

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._since_ms: dict[str, int] = {}
        self._borne: set[str] = set()
        """Those that triggers have not been suspended for."""

    def bears(self, book: Book, now_ms: int) -> bool:
        """Return whether a book, the newest of its asset, is bad and no trigger is suspended for it
        yet.

        Args:
            book: as it is now.
            now_ms: monotonic milliseconds.
        """
        asset_id = book.market.asset_id
        if not is_bad(book):
            self._since_ms.pop(asset_id, None)
            self._borne.discard(asset_id)
            return False
        if now_ms - self._since_ms.setdefault(asset_id, now_ms) >= self._patience_ms:
            return False
        self._borne.add(asset_id)
        return True

    def unbearable(self, now_ms: int) -> list[str]:
        """Return assets whose books have been bad for long enough by now; each is reported once."""
        until_ms = now_ms - self._patience_ms
        found = [asset_id for asset_id in self._borne if self._since_ms[asset_id] <= until_ms]
        self._borne.difference_update(found)
        return found
