"""Decide when an order that was provably not accepted is sent again. Pure."""

from __future__ import annotations

from tradingtools.venues.ports import Verdict

PAUSE_MS = 50
"""Before an order is sent again, where nobody asks for a longer pause."""


def next_try_ms(verdict: Verdict, left_ms: int) -> int | None:
    """Return the pause before an order that was not accepted is sent again; None: it is not.

    Args:
        verdict: of the last answer.
        left_ms: until the order may leave no more.

    It honours the requested pause within the order's time. There is nothing to wait for when that
    outlasts it, and a timer that ends early would send the order only to be refused as too late.
    """
    wait = verdict.retry_after_ms or PAUSE_MS
    return wait if wait < left_ms else None
