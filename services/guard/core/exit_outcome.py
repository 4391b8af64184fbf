"""Decide what follows when a trigger's exit order has ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.order_states import FailedKind, OrderState


class NextStep(Enum):
    """The next step of the trigger."""

    NOTHING = auto()
    """The exit has not ended, or a human has to end it."""
    DONE = auto()
    SLICE = auto()
    """Sell the rest under the next key."""
    RUNG = auto()
    """Armed again for the next rung of a ladder."""
    REARM = auto()
    """Nothing was sent, or all of it was undone: armed under a new generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitResult:
    """The last exit order and what is left. Amounts in micros."""

    state: OrderState
    failed_kind: FailedKind | None
    sold_micros: int
    """By all slices of this exit."""
    desired_micros: int
    """What this exit still has to sell."""
    rungs_micros: int
    """What is left for the rungs after it; 0 for other kinds and after the last rung."""
    min_size_micros: int


def is_withdrawn(step: NextStep, *, exit_of: str, exiting: bool) -> bool:
    """Return whether an exit ends here: its loss stop's subscription was resumed meanwhile.

    Args:
        step: that would follow.
        exit_of: the performance action that it sells for; empty: none.
        exiting: its subscription still sells all.
    """
    return step in (NextStep.REARM, NextStep.SLICE) and bool(exit_of) and not exiting


def after_exit(ended: ExitResult) -> NextStep:
    """Decide; what is left below the market's minimum cannot be sold and ends exit or trigger."""
    if ended.state not in (OrderState.CONFIRMED, OrderState.FAILED, OrderState.LOST):
        return NextStep.NOTHING
    nothing_sent = ended.failed_kind in (FailedKind.UNSENT, FailedKind.UNDONE)
    if nothing_sent and ended.sold_micros == 0:
        return NextStep.REARM
    minimum = max(ended.min_size_micros, 1)
    if ended.desired_micros >= minimum:
        return NextStep.SLICE
    return NextStep.RUNG if ended.rungs_micros >= minimum else NextStep.DONE
