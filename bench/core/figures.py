"""From instants to figures: percentiles of the first and the last POST, and ratios. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core.reads import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The conditions under which one line of the table was measured."""

    followers: int
    trades: int
    """Leader trades in one burst."""
    noise: int
    """Other wallets' messages a second in the feed."""
    answer_ms: int
    """How long the venue gateway takes to answer."""
    reads: int = 0
    """Reads a second that others make over REST meanwhile."""


@dataclass(frozen=True, slots=True)
class Round:
    """One burst: milliseconds from the first frame's leaving to POSTs' arrivals."""

    first_ms: float
    last_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Percentiles of one quantity, milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the system's way, median over its orders."""

    name: str
    p50_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The contestants under one setup."""

    setup: Setup
    rounds: int
    floor_first: Spread
    floor_last: Spread
    system_first: Spread
    system_last: Spread
    skeleton_first: Spread | None = None
    skeleton_last: Spread | None = None
    """Absent: it did not take part."""
    hops: tuple[Hop, ...] = ()
    reads: Tally | None = None
    """What became of the reads beside it."""

    @property
    def ratio_p50(self) -> float:
        """The system's last POST to the floor's, medians."""
        return self.system_last.p50 / self.floor_last.p50

    @property
    def architecture_p50(self) -> float | None:
        """The skeleton's last POST to the floor's, medians; None: it did not take part."""
        return None if self.skeleton_last is None else self.skeleton_last.p50 / self.floor_last.p50

    @property
    def features_p50(self) -> float | None:
        """The system's last POST to the skeleton's, medians; None: that did not take part."""
        return None if self.skeleton_last is None else self.system_last.p50 / self.skeleton_last.p50

    @property
    def ratio_p99(self) -> float:
        """The same for the 99th percentiles."""
        return self.system_last.p99 / self.floor_last.p99


def spread(values: Sequence[float]) -> Spread:
    """Percentiles by nearest rank. Raises ValueError when there is nothing."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)

    def rank(fraction: float) -> float:
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]

    return Spread(p50=rank(0.5), p90=rank(0.9), p99=rank(0.99), max=ordered[-1])


def line(
    setup: Setup,
    floor: Sequence[Round],
    system: Sequence[Round],
    hops: tuple[Hop, ...] = (),
    skeleton: Sequence[Round] = (),
) -> Line:
    """The contestants' rounds under one setup, and where the system's time went."""
    return Line(
        setup=setup,
        rounds=min(len(floor), len(system)),
        floor_first=spread([r.first_ms for r in floor]),
        floor_last=spread([r.last_ms for r in floor]),
        system_first=spread([r.first_ms for r in system]),
        system_last=spread([r.last_ms for r in system]),
        skeleton_first=spread([r.first_ms for r in skeleton]) if skeleton else None,
        skeleton_last=spread([r.last_ms for r in skeleton]) if skeleton else None,
        hops=hops,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setup in two runs."""

    setup: Setup
    before: float
    after: float
    """Ratios of medians to the floor of the own run."""
    slower: bool
    """Beyond what the runs' own spread explains."""


def compare(before: Sequence[Line], after: Sequence[Line]) -> list[Change]:
    """Return what has changed between two runs; ratios, so that the machines need not be equal.

    Slower is a ratio that grew by more than a quarter and by more than the wider of both runs'
    distances from median to 90th percentile, which is what a run's own noise looks like.
    """
    known: Mapping[Setup, Line] = {each.setup: each for each in before}
    changes = []
    for now in after:
        then = known.get(now.setup)
        if then is None:
            continue
        noise = max(
            (each.system_last.p90 - each.system_last.p50) / each.floor_last.p50
            for each in (then, now)
        )
        grown = now.ratio_p50 - then.ratio_p50
        changes.append(
            Change(
                setup=now.setup,
                before=then.ratio_p50,
                after=now.ratio_p50,
                slower=grown > then.ratio_p50 / 4 and grown > noise,
            )
        )
    return changes
