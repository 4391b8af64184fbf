"""Explain why a subscription does not hold what it would if every copy had worked. Pure.

Before it: `drift`, which has PostgreSQL add up what would be held. After it: the drift that REST
shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tradingtools.domain.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Shares that were ordered and not filled, or leader trades that were not copied."""

    side: str
    reason: str
    number: int
    """Orders, or leader trades."""
    size_micros: int | None
    """None: never ordered."""


def unexplained(ideal_micros: int, held_micros: int, shortfalls: Sequence[Shortfall]) -> int:
    """Return what of the difference no shortfall names: what exits in proportion make of earlier
    ones, and rounding to the market's step.

    What was not bought or was sold elsewhere is missing, what was not sold is too much.
    """
    named = sum(
        (1 if one.side == "BUY" or one.reason == Reason.SOLD_ELSEWHERE else -1) * one.size_micros
        for one in shortfalls
        if one.size_micros is not None
    )
    return ideal_micros - held_micros - named
