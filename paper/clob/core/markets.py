"""A market as it stands: its book, its phase, its last price."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from paper.clob.core.values import WHOLE, Market
from paper.matching.book import Book

CENT_OF_SHARE = 10_000
"""The market's own sizes are cut to hundredths, as orders are."""
_DEEP = 10_000


@dataclass(slots=True)
class MarketState:
    """A market with its book, which is that of its first outcome."""

    market: Market
    book: Book = field(default_factory=Book)
    payouts: tuple[int, int] | None = None
    started: bool = False
    """The game has begun, and the book was wiped for it."""
    last_price: int | None = None
    last_side: str = ""
    changed_ms: int = 0

    @property
    def open(self) -> bool:
        """Return whether orders are taken."""
        return self.payouts is None

    def with_tick(self, tick: int) -> Market:
        """Change the tick, 1e-4 units; the market as it is from now on."""
        self.market = replace(self.market, tick=tick)
        return self.market

    def ladder(self, index: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return bids and asks of an outcome, best first: price and size."""
        buys = [(price, size) for price, size, _ in self.book.depth("buy", _DEEP)]
        sells = [(price, size) for price, size, _ in self.book.depth("sell", _DEEP)]
        if index == 0:
            return buys, sells
        return [(WHOLE - p, s) for p, s in sells], [(WHOLE - p, s) for p, s in buys]
