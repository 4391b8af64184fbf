"""Rank leaders. Pure.

A record that is evidence comes before one that is not: the gate decides, the figure orders. Who has
no figure comes last, and a wallet's name decides between equals, so that a page has one successor.

Before it: statistics of a snapshot. After it: a page of leaders.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NewType

WINDOWS: Mapping[str, int] = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "all": 0}
"""Days by name; 0: all time."""
DEFAULT_SORT, DEFAULT_WINDOW = "copyability", "30d"

Rank = NewType("Rank", tuple[int, int, float, str])
"""Without evidence, without a figure, how much is above it, wallet: the least comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures that leaders are compared by. Micros are exact as floats up to nine billion
    USDC."""

    wallet: str
    evidence: bool
    by_sort: Mapping[str, float | None]
    trades: int
    resolved: int
    categories: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderQuery:
    """A selection of leaders."""

    sort: str
    min_trades: int
    min_resolved: int
    category: str
    evidence: bool

    def fits(self, leader: Figures) -> bool:
        """Return whether a leader is asked for."""
        return (
            leader.trades >= self.min_trades
            and leader.resolved >= self.min_resolved
            and (not self.category or self.category in leader.categories)
            and (leader.evidence or not self.evidence)
        )


def rank(leader: Figures, sort: str) -> Rank:
    """Return where a leader stands."""
    figure = leader.by_sort[sort]
    return Rank((not leader.evidence, figure is None, -(figure or 0.0), leader.wallet))


def ranked(leaders: Iterable[Figures], desired: LeaderQuery) -> list[Rank]:
    """Return the ranks of all that are asked for, the best first."""
    return sorted(rank(leader, desired.sort) for leader in leaders if desired.fits(leader))


def page(ranks: Sequence[Rank], after: Rank | None, size: int) -> tuple[list[Rank], bool]:
    """Return the ranks that follow one, and whether there are more.

    Args:
        ranks: the best first.
        after: the last of the page before; it need not be there any more. None: the first page.
        size: at most so many.
    """
    start = bisect_right(ranks, after) if after is not None else 0
    return list(ranks[start : start + size]), start + size < len(ranks)
