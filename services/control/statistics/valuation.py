"""Value held shares at present prices. Pure.

Before it: lots from PostgreSQL and books from bookfeed's stream. After it: positions and statistics
on REST. A worth that nobody would pay is not a worth: without a fresh book there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tradingtools.domain.book import Book, BookStatus, sell_into
from tradingtools.domain.money import notional_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """The proceeds of selling shares, micros of USDC before fees."""

    value_micros: int
    sellable_micros: int
    """Shares that found a bid; the rest counts as worth nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Several lots together, micros of USDC."""

    positions: int
    unmarked: int
    """Lots without a worth; while there is one, the sums say nothing."""
    value_micros: int
    unrealised_micros: int


def worth(book: Book | None, shares_micros: int) -> Valuation | None:
    """Return what shares would fetch by a book; by the payout once the market has resolved.

    Args:
        book: the asset's newest; None: there is none.
        shares_micros: more than 0.

    Returns:
        None without a fresh book.
    """
    if book is None:
        return None
    payout = book.market.payout_micros
    if payout is not None:
        value = notional_floor(shares_micros, payout)
        return Valuation(value_micros=value, sellable_micros=shares_micros)
    if book.status is not BookStatus.FRESH:
        return None
    sale = sell_into(book.bids, shares_micros)
    if sale is None:
        return Valuation(value_micros=0, sellable_micros=0)
    return Valuation(value_micros=sale.notional_micros, sellable_micros=sale.size_micros)


def total(lots: Iterable[tuple[int, Valuation | None]]) -> Total:
    """Sum up lots, each with its cost in micros and its worth."""
    found = list(lots)
    marked = [(cost, w.value_micros) for cost, w in found if w is not None]
    value = sum(v for _, v in marked)
    return Total(
        positions=len(found),
        unmarked=len(found) - len(marked),
        value_micros=value,
        unrealised_micros=value - sum(cost for cost, _ in marked),
    )
