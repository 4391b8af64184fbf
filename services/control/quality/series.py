"""Compute what a subscription has gained over time. Pure, and exact to the micro.

Before it: the hours of its lots and the lots as they are now, of one instant. After it: points of a
chart, the last of which is what the ledger says now. Bookings that no hour has, as of lots that a
migration has made, count from the subscription's beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from tradingtools.domain.money import notional_floor

HOUR_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums of what was booked, micros of USDC."""

    bought_micros: int = 0
    sold_micros: int = 0
    payout_micros: int = 0
    fee_micros: int = 0
    realised_micros: int = 0

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """Return the sums together, or without the other ones."""
        return Sums(
            **{f.name: getattr(self, f.name) + sign * getattr(other, f.name) for f in fields(Sums)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The changes of one lot within an hour, or from its beginning until now."""

    asset_id: str
    hour_s: int
    """The hour's first instant, seconds since the epoch."""
    sums: Sums
    shares_micros: int
    cost_micros: int
    """Held at the end of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A subscription at an instant, everything from its beginning on."""

    at_s: int
    sums: Sums
    open_cost_micros: int
    marked_micros: int | None
    """Worth of what is held less its cost; None: something held has no mark."""

    @property
    def equity_micros(self) -> int | None:
        """Return what it has gained, fees paid; None: something held has no mark."""
        if self.marked_micros is None:
            return None
        return self.sums.realised_micros + self.marked_micros - self.sums.fee_micros


@dataclass(slots=True)
class _State:
    sums: Sums = field(default_factory=Sums)
    held: dict[str, tuple[int, int]] = field(default_factory=dict)


WorthAt = Callable[[str, int, int], int | None]
"""What so many shares of an outcome were worth at an instant, micros of USDC; None: no mark."""


def instants(from_s: int, to_s: int, now_s: int, step_s: int) -> list[int]:
    """Return the ends of steps after ``from_s``, up to ``to_s`` and to now, and now itself if it is
    within."""
    first = from_s - from_s % step_s + step_s
    last = min(to_s, now_s)
    ends = list(range(first, last + 1, step_s))
    if last == now_s and (not ends or ends[-1] < now_s):
        ends.append(now_s)
    return ends


def points(
    steps: Sequence[Step], lots: Sequence[Step], started_s: int, at: Sequence[int], worth: WorthAt
) -> list[Point]:
    """Return what was gained at each instant.

    Args:
        steps: of hours, in any order; of one lot and hour the later part comes later.
        lots: as they are now; their ``hour_s`` means nothing.
        started_s: when the subscription was made.
        at: instants, ascending; ends of hours, or now.
        worth: of shares at one of them.
    """
    state = _State()
    ordered = [*_openings(steps, lots, started_s), *sorted(steps, key=lambda step: step.hour_s)]
    found, done = [], 0
    for at_s in at:
        while done < len(ordered) and ordered[done].hour_s < at_s:
            step = ordered[done]
            state.sums = state.sums.plus(step.sums)
            state.held[step.asset_id] = (step.shares_micros, step.cost_micros)
            done += 1
        found.append(_point(state, at_s, worth))
    return found


def _openings(steps: Sequence[Step], lots: Sequence[Step], started_s: int) -> list[Step]:
    booked: dict[str, Sums] = {}
    for step in steps:
        booked[step.asset_id] = booked.get(step.asset_id, Sums()).plus(step.sums)
    found = []
    for lot in lots:
        rest = lot.sums.plus(booked.get(lot.asset_id, Sums()), -1)
        if lot.asset_id in booked and rest == Sums():
            continue
        held = (0, 0) if lot.asset_id in booked else (lot.shares_micros, lot.cost_micros)
        found.append(
            Step(
                asset_id=lot.asset_id,
                hour_s=started_s - started_s % HOUR_S,
                sums=rest,
                shares_micros=held[0],
                cost_micros=held[1],
            )
        )
    return found


def _point(state: _State, at_s: int, worth: WorthAt) -> Point:
    value: int | None = 0
    for asset_id, (shares, _) in state.held.items():
        if shares:
            of = worth(asset_id, shares, at_s)
            value = None if value is None or of is None else value + of
    cost = sum(cost for _, cost in state.held.values())
    return Point(
        at_s=at_s,
        sums=state.sums,
        open_cost_micros=cost,
        marked_micros=None if value is None else value - cost,
    )


def drawdowns(found: Sequence[Point]) -> list[int | None]:
    """Return how far each point is below the highest equity of the points before it."""
    peak: int | None = None
    falls: list[int | None] = []
    for point in found:
        equity = point.equity_micros
        if equity is not None:
            peak = equity if peak is None else max(peak, equity)
        falls.append(None if equity is None or peak is None else peak - equity)
    return falls


def at_bids(
    bids: Mapping[tuple[str, int], int], now_s: int, now: Callable[[str, int], int | None]
) -> WorthAt:
    """Return worths by the last bid of the hour that ends, and by the books of now.

    Args:
        bids: by outcome and the hour's first instant.
        now_s: the instant whose worth is ``now``.
        now: what so many shares of an outcome are worth.
    """

    def worth(asset_id: str, shares_micros: int, at_s: int) -> int | None:
        if at_s == now_s:
            return now(asset_id, shares_micros)
        bid = bids.get((asset_id, at_s - HOUR_S))
        return None if bid is None else notional_floor(shares_micros, bid)

    return worth
