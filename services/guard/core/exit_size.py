"""Size one slice of an exit, and set its limit. Pure.

Comes after `trigger`, which has said what an exit still wants; before `exit_order`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.book import Book, Market, sell_into
from tradingtools.domain.exit_price import limit_below
from tradingtools.domain.money import floor_to
from tradingtools.domain.reasons import Reason

SIZE_STEP_MICROS = 10_000
"""Sizes have two decimals at every tick (CLOB order rules)."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One slice of an exit."""

    size_micros: int
    limit_micros: int


def smallest(market: Market) -> int:
    """Return the fewest shares that can be sold, micros."""
    return max(market.min_size_micros, SIZE_STEP_MICROS)


def size_exit(
    book: Book,
    *,
    desired_micros: int,
    free_micros: int,
    below_ppm: int,
) -> Exit | Reason:
    """Size one slice; the reason when it cannot be sold now.

    Args:
        book: fresh, with at least one bid.
        desired_micros: shares that the trigger still wants to sell.
        free_micros: shares of the lot that no other exit has reserved.
        below_ppm: how far below the lowest needed bid the limit is.
    """
    market = book.market
    if free_micros <= 0:
        return Reason.ALREADY_SELLING
    size = min(desired_micros, free_micros)
    # Less than the minimum cannot be sold alone, and must not be left over.
    minimum = smallest(market)
    size = max(size, min(minimum, free_micros))
    if free_micros - size < minimum:
        size = free_micros
    size = floor_to(size, SIZE_STEP_MICROS)
    if size < minimum:
        return Reason.DUST
    sale = sell_into(book.bids, size)
    if sale is None:
        return Reason.THIN_BOOK
    return Exit(size, limit_below(sale.worst_micros, below_ppm, market))
