"""Decide where a redemption stands after an answer, and when to ask again. Pure."""

from __future__ import annotations

from tradingtools.domain.redemption_states import TRANSITIONS, RedemptionState
from tradingtools.venues.ports import RedemptionAnswer

_FIRST_MS = 1_000
_LONGEST_MS = 300_000
_S = RedemptionState


_FOLLOWS = {
    RedemptionAnswer.DONE: _S.CONFIRMED,
    RedemptionAnswer.UNDER_WAY: _S.ACCEPTED,
    RedemptionAnswer.NOTHING_LEFT: _S.CONFIRMED,
    RedemptionAnswer.NO_ANSWER: _S.UNKNOWN,
}


def follows(state: RedemptionState, answer: RedemptionAnswer) -> RedemptionState:
    """Return where a redemption stands after what was received; the same when nothing is known
    better."""
    target = _FOLLOWS.get(answer, state)
    return target if (state, target) in TRANSITIONS else state


def pause_ms(attempts: int) -> int:
    """Return how long until it is asked again, having asked so often."""
    return min(_FIRST_MS << min(attempts, 20), _LONGEST_MS)
