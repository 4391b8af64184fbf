"""Liquidation: which step is next for a position or pool that fell to its maintenance margin.

OKX's order of things ("Tiered maintenance margin ratio rules"): the holder is warned at 300 %, at
100 % his orders go, then a position of tier 3 or above shrinks by two tiers, and one below it is
taken over at its bankruptcy price. Auto-deleveraging is not done here: the insurance may go below
zero instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paper.okx.core.margin import Position
from paper.okx.core.tiers import Tier, tier_of

WARNING = 3
"""A pool that has not so many times its demand is warned of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Close `lots` (signed like a trade) of a position; `last`: its pool is bankrupt after it."""

    position: Position
    lots: int
    last: bool


def shrink(position: Position, tiers: Sequence[Tier]) -> int:
    """Lots to close (signed like a trade) so that a position is two tiers lower, or all of it."""
    of = position.instrument
    tier = tier_of(tiers, position.lots * of.lot)
    if tier.number < 3:
        return -position.lots
    most = next(one.most for one in tiers if one.number == tier.number - 2) // of.lot
    kept = min(most, abs(position.lots))
    return (kept - abs(position.lots)) * (1 if position.lots > 0 else -1)


def next_step(demands: Sequence[tuple[int, Position, Sequence[Tier]]]) -> Step:
    """The step for a pool: of its positions, each with its demand and tiers, the one that demands
    most comes first. An isolated position is a pool of its own."""
    _, position, tiers = max(demands, key=lambda one: (one[0], one[1].pos_id))
    lots = shrink(position, tiers)
    whole = lots == -position.lots
    return Step(position=position, lots=lots, last=whole and len(demands) == 1)
