"""Fill a shadow's copy on paper: fills assumed on paper at the book of the decision.

The levels within the limit fill first; what they do not hold is assumed at the limit itself, which
is never better than life. Pure. Before it comes the size, after it the decision's record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.router.core.fees import FEE_STEP_MICROS
from services.router.core.sizing import Sized
from tradingtools.domain.book import Book, Level
from tradingtools.domain.money import MICROS, ceil_to, notional_ceil, notional_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFill:
    """Shares, and USDC paid (a buy) or got (a sell), fees counted. Micros, never negative."""

    size_micros: int
    money_micros: int


def _taken(levels: Iterable[Level], sized: Sized) -> list[Level]:
    left, found = sized.size_micros, []
    for price, size in levels:
        if left == 0:
            break
        found.append((price, min(size, left)))
        left -= min(size, left)
    return [*found, (sized.limit_micros, left)] if left else found


def _fee(book: Book, price: int, size: int) -> int:
    exact = size * book.market.fee_rate_micros * price * (MICROS - price)
    return ceil_to(-(-exact // MICROS**3), FEE_STEP_MICROS)


def buy(book: Book, sized: Sized) -> PaperFill:
    """Return what a buy would cost, rounded up."""
    levels = [level for level in book.asks if level[0] <= sized.limit_micros]
    paid = sum(notional_ceil(s, p) + _fee(book, p, s) for p, s in _taken(levels, sized))
    return PaperFill(size_micros=sized.size_micros, money_micros=paid)


def sell(book: Book, sized: Sized) -> PaperFill:
    """Return what a sale would bring, rounded down; a fee never makes it negative."""
    levels = [level for level in book.bids if level[0] >= sized.limit_micros]
    got = sum(max(0, notional_floor(s, p) - _fee(book, p, s)) for p, s in _taken(levels, sized))
    return PaperFill(size_micros=sized.size_micros, money_micros=got)
