"""Two legs of one trade: the state of each, and what the two together ask for. Pure.

An order that may still fill, UNKNOWN ones included, counts as filled for its own leg, so that
nothing is hedged twice; for the other leg it counts as not filled, so that no hedge is sent for
what may never be held. That leaves one answer while an order is on its way: wait. A pair's exposure
is thus never more than one tranche, whatever becomes of any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from tradingtools.domain.instrument import Instrument


class LegState(StrEnum):
    """A leg beside the other one."""

    EVEN = "EVEN"
    """It holds what the other leg asks for, to within the smallest order and the band."""
    AHEAD = "AHEAD"
    """It holds more: the part that is more is not hedged."""
    BEHIND = "BEHIND"
    BELOW = "BELOW"
    """It holds less than nothing: more was closed than is there, once a fill is undone."""
    FLYING = "FLYING"
    """An order of it may still fill, or its fills are not all booked."""


class Situation(StrEnum):
    """The circumstances of an unhedged part."""

    IN_BOUND = "IN_BOUND"
    """Before the deadline, and hedging at its limit price loses no more than the bound."""
    BEYOND_BOUND = "BEYOND_BOUND"
    """Before the deadline, and hedging would lose more, or has no price."""
    LATE = "LATE"
    """After the deadline: whatever kept the hedge from filling is not waited for."""
    REDUCING = "REDUCING"
    """The pair is being closed, or the leg ahead is itself only a hedge."""


class LegStep(StrEnum):
    """The next step of a pair."""

    WAIT = "WAIT"
    """No order is sent."""
    GO_ON = "GO_ON"
    """The strategy may open or close a tranche."""
    HEDGE = "HEDGE"
    """The leg behind gets an order for what it lacks."""
    LEAST_LOSS = "LEAST_LOSS"
    """HEDGE or FLATTEN, whichever loses less at its limit price."""
    FLATTEN = "FLATTEN"
    """The leg ahead is closed by what it has too much, one below zero is brought back to it."""


@dataclass(frozen=True, slots=True)
class LegRow:
    """One line of the table."""

    first: LegState
    second: LegState
    situations: tuple[Situation, ...]
    step: LegStep
    deadline: str
    loss: str
    flattening: str


_ANY = tuple(Situation)
_ORDER = "the order's own; UNKNOWN is resolved by reading"
_TRANCHE = "max_loss, by the size of the tranche"
_S, _W = LegState, Situation


def _lone(first: LegState, second: LegState, name: str) -> tuple[LegRow, ...]:
    ahead = f"the {name} leg, by IOC within max_slippage, until it is even"
    return (
        LegRow(first, second, (_W.IN_BOUND,), LegStep.HEDGE, "hedge_deadline_ms", "max_loss", "-"),
        LegRow(
            first,
            second,
            (_W.BEYOND_BOUND,),
            LegStep.LEAST_LOSS,
            "at once",
            "the lesser of both losses",
            ahead,
        ),
        LegRow(
            first, second, (_W.LATE, _W.REDUCING), LegStep.FLATTEN, "at once", "the market's", ahead
        ),
    )


TABLE: Final[tuple[LegRow, ...]] = (
    LegRow(_S.EVEN, _S.EVEN, _ANY, LegStep.GO_ON, "none", _TRANCHE, "-"),
    *_lone(_S.AHEAD, _S.BEHIND, "first"),
    *_lone(_S.BEHIND, _S.AHEAD, "second"),
    *(
        LegRow(
            first,
            second,
            _ANY,
            LegStep.FLATTEN,
            "at once",
            "the market's",
            "the leg below zero, by IOC within max_slippage, until it is at zero",
        )
        for first, second in (
            (_S.BELOW, _S.BELOW),
            (_S.BELOW, _S.EVEN),
            (_S.EVEN, _S.BELOW),
        )
    ),
    *(
        LegRow(first, second, _ANY, LegStep.WAIT, _ORDER, _TRANCHE, "-")
        for first, second in (
            (_S.FLYING, _S.FLYING),
            (_S.FLYING, _S.EVEN),
            (_S.EVEN, _S.FLYING),
        )
    ),
)
"""Every pair of states that there is. Beside a leg that flies, or is below zero, the other one is
EVEN: how far it is ahead is not known, or does not matter yet."""

STEPS: Final = {
    (row.first, row.second, situation): row.step for row in TABLE for situation in row.situations
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg of a pair."""

    instrument: Instrument
    held: int
    """In its units of size, above zero in the direction of the pair; booked fills alone."""
    flying: bool
    """An order of it may fill, or is filled and not booked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Two legs side by side."""

    first: LegState
    second: LegState
    ahead: int = 0
    """Size of the leg ahead that is not hedged, in its own units."""
    behind: int = 0
    """Size that the other leg lacks, in its own units; both are zero while an order flies."""


def balance(first: Leg, second: Leg, ratio: Fraction, *, band: int = 0) -> Balance:
    """Return the state of both legs.

    Args:
        first: as booked.
        second: as booked.
        ratio: size of the second leg that hedges a size of 1 of the first, in units.
        band: in the second's units: a difference up to this counts as even.
    """
    if first.flying or second.flying:
        return Balance(
            first=_alone(_S.FLYING, first.flying), second=_alone(_S.FLYING, second.flying)
        )
    below = [bool(one.instrument.size_in_lots(-one.held)) for one in (first, second)]
    if any(below):
        return Balance(
            first=_alone(_S.BELOW, below[0]),
            second=_alone(_S.BELOW, below[1]),
            ahead=-(first if below[0] else second).held,
        )
    gap = max(first.held, 0) * ratio - max(second.held, 0)
    if abs(gap) <= band or not ratio:
        # Without a ratio the second leg hedges nothing, and all of it is too much.
        lone = second.held if not ratio and second.held > band else 0
        state = (LegState.BEHIND, LegState.AHEAD) if lone else (LegState.EVEN, LegState.EVEN)
        return Balance(first=state[0], second=state[1], ahead=lone)
    gap_ahead = gap > 0
    leg, other = (first, second) if gap_ahead else (second, first)
    ahead, behind = (int(gap / ratio), int(gap)) if gap_ahead else (int(-gap), int(-gap / ratio))
    sold, bought = leg.instrument.size_in_lots(ahead), other.instrument.size_in_lots(behind)
    if not sold or (other.held and not bought):
        return Balance(first=LegState.EVEN, second=LegState.EVEN)
    states = (LegState.AHEAD, LegState.BEHIND) if gap_ahead else (LegState.BEHIND, LegState.AHEAD)
    return Balance(first=states[0], second=states[1], ahead=ahead, behind=behind)


def _alone(state: LegState, so: bool) -> LegState:
    return state if so else LegState.EVEN


def step(
    both: Balance, *, reducing: bool, late: bool, hedge_loss: int | None, max_loss: int
) -> LegStep:
    """Return what a pair asks for.

    Args:
        both: its legs.
        reducing: it is being closed, or the leg ahead is only a hedge.
        late: its deadline has passed.
        hedge_loss: of hedging at the limit price, in units of money; None: there is no price.
        max_loss: the bound.
    """
    if reducing:
        situation = Situation.REDUCING
    elif late:
        situation = Situation.LATE
    elif hedge_loss is not None and hedge_loss <= max_loss:
        situation = Situation.IN_BOUND
    else:
        situation = Situation.BEYOND_BOUND
    return STEPS[both.first, both.second, situation]
