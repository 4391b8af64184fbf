"""Compute the worth of a subscription's copies, and how well they were made. Pure.

The books come by bookfeed's stream of everything that is held, so that a list of two hundred
subscriptions asks nobody, and a bookfeed that is away costs the worths and not the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.control.statistics.sums import delays
from services.control.statistics.valuation import Total, total, worth
from tradingtools.domain.book import Book

BookOf = Callable[[str], Book | None]
"""The newest book of an asset that is in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The worth of a subscription's copies, and how well they were made."""

    held: Total
    payouts_micros: int
    """Payouts of resolved markets."""
    slippage_micros: int
    """USDC that fills were worse than the leader's price."""
    delays_us: tuple[int, int, int] | None
    """Median, 90th percentile and last copy delay, microseconds; None: no copy has ended."""


def performance(row: Mapping[str, Any], book: BookOf) -> Performance:
    """Return that of a subscription as it is shown."""
    held = [(cost, worth(book(asset), shares)) for asset, shares, cost in row["held"] or ()]
    return Performance(
        held=total(held),
        payouts_micros=row["payouts"],
        slippage_micros=row["slippage"],
        delays_us=delays(row["delays"]),
    )
