"""One asset's book: two sides of price and shares, exact, with the best of each at hand.

A side is a dict, because a change touches one level and comes thousands of times a second; sorting
waits until somebody reads.
"""

from __future__ import annotations

from collections.abc import Iterable

ONE = 1_000_000
"""A price of one, which stands for "no ask" on the wire; "no bid" is 0."""


class Book:
    """Levels of both sides. Prices and shares are 1e-6."""

    __slots__ = ("_asks", "_bids", "best_ask", "best_bid")

    def __init__(self) -> None:
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self.best_bid: int = 0
        """Highest bid; 0 when there is none."""
        self.best_ask: int = ONE
        """Lowest ask; ONE when there is none."""

    def replace(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        """Take whole sides; levels without shares are none."""
        self._bids = {price: size for price, size in bids if size}
        self._asks = {price: size for price, size in asks if size}
        self.best_bid = max(self._bids, default=0)
        self.best_ask = min(self._asks, default=ONE)

    def change(self, *, is_bid: bool, price: int, size: int) -> None:
        """Set the total of a level; 0 removes it."""
        side = self._bids if is_bid else self._asks
        if size:
            side[price] = size
            if is_bid:
                self.best_bid = max(self.best_bid, price)
            else:
                self.best_ask = min(self.best_ask, price)
        elif side.pop(price, 0):
            if is_bid and price == self.best_bid:
                self.best_bid = max(side, default=0)
            elif not is_bid and price == self.best_ask:
                self.best_ask = min(side, default=ONE)

    def copy(self) -> Book:
        """Return another book with the same levels."""
        other = Book()
        other._bids, other._asks = dict(self._bids), dict(self._asks)
        other.best_bid, other.best_ask = self.best_bid, self.best_ask
        return other

    def same(self, other: Book) -> bool:
        """Return whether every level of both sides is the same."""
        return self._bids == other._bids and self._asks == other._asks

    def bids(self, depth: int) -> list[tuple[int, int]]:
        """Return the best bids, highest price first."""
        return sorted(self._bids.items(), reverse=True)[:depth]

    def asks(self, depth: int) -> list[tuple[int, int]]:
        """Return the best asks, lowest price first."""
        return sorted(self._asks.items())[:depth]

    @property
    def empty(self) -> bool:
        """Return whether no level is on either side."""
        return not self._bids and not self._asks

    @property
    def crossed(self) -> bool:
        """Return whether the best bid is at or above the best ask."""
        return bool(self._bids) and bool(self._asks) and self.best_bid >= self.best_ask

    def agrees(self, best_bid: int | None, best_ask: int | None) -> bool:
        """Return whether the venue's view of the best prices is ours; None agrees with
        everything."""
        return best_bid in (None, self.best_bid) and best_ask in (None, self.best_ask)
