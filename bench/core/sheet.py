"""The figures beside the copies' race against the floor, each with its goal. Pure.

Before it: measurements, which hand over values. After it: `bench.report` shows and keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.figures import spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the sheet."""

    what: str
    under: str
    """What it was measured under."""
    value: float
    unit: str
    goal: float | None = None
    """To reach at most, or at least; absent: nobody has set one."""
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Return whether the goal is; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def times(
    what: str, under: str, values: Sequence[float], *, goal_p99: float | None = None
) -> list[Figure]:
    """Median, 99th percentile of milliseconds. Raises ValueError when there are none."""
    found = spread(values)
    return [
        Figure(what=f"{what}, p50", under=under, value=found.p50, unit="ms"),
        Figure(what=f"{what}, p99", under=under, value=found.p99, unit="ms", goal=goal_p99),
    ]


def later(
    what: str, under: str, alone: Sequence[float], beside: Sequence[float], *, goal_ms: float
) -> list[Figure]:
    """Return how much later something comes beside something else than alone.

    Args:
        what: comes.
        under: beside what.
        alone: milliseconds that it takes.
        beside: milliseconds that it takes then.
        goal_ms: by how much it may come later, in the median and in the 99th percentile.

    Raises:
        ValueError: one of them is empty.
    """
    first, second = spread(alone), spread(beside)
    return [
        *times(f"{what} alone", under, alone),
        *times(f"{what} beside", under, beside),
        Figure(
            what=f"{what} later by, p50", under=under, value=second.p50 - first.p50, unit="ms",
            goal=goal_ms,
        ),
        Figure(
            what=f"{what} later by, p99", under=under, value=second.p99 - first.p99, unit="ms",
            goal=goal_ms,
        ),
    ]  # fmt: skip
