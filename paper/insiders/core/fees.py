"""The venue's taker fee: a fill without it is not what a follower gets.

Rule and rates: Polymarket's fee schedule by category of 2026 (fee = C x rate x p x (1 - p),
takers only, in USDC, 5 decimals). Matching calls this for each fill and for the reservation.
"""

from __future__ import annotations

from paper.insiders.core.amounts import ONE, ceil_div
from paper.insiders.core.model import MarketBook

RATES = {
    "crypto": 70_000,
    "sports": 50_000,
    "finance": 40_000,
    "politics": 40_000,
    "economics": 50_000,
    "culture": 50_000,
    "weather": 50_000,
    "mentions": 40_000,
    "tech": 40_000,
    "geopolitics": 0,
    "other": 50_000,
}
"""Taker fee rate of each category, in micros."""

_FEE_STEP = 10
"""Five decimals, in micros."""


def fee_rate(book: MarketBook) -> int:
    """The market's own rate in micros, else its category's, else that of "other"."""
    if book.fee_rate is not None:
        return book.fee_rate
    return RATES.get(book.category, RATES["other"])


def taker_fee(*, size: int, price: int, rate: int) -> int:
    """Fee in micros for `size` shares at `price`, rounded up to 5 decimals."""
    return _FEE_STEP * ceil_div(size * rate * price * (ONE - price), ONE**3 * _FEE_STEP)


def highest_fee(*, size: int, limit_price: int, rate: int) -> int:
    """The most that a buy up to `limit_price` can be charged: p x (1 - p) peaks at a half."""
    return taker_fee(size=size, price=min(limit_price, ONE // 2), rate=rate)
