"""The states of an alert, and every step between them: one table.

An alert is one thing that a rule watches: an order that is dead, a breaker that is open, a process
that does not serve. Before it: `signals` and `probes`, which say what began and ended. After it:
`open_alerts`, which keeps the alerts and groups them into messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of an alert. The values are those in the database."""

    PENDING = "PENDING"
    """It holds, and not yet for as long as its rule demands."""
    FIRING = "FIRING"
    """A person is notified, or is about to be."""
    RESOLVED = "RESOLVED"
    """It is over; the message about its end is still to be notified."""


class Step(StrEnum):
    """A step that moves an alert."""

    STARTED = "BEGAN"
    HELD = "HELD"
    """It has held for as long as its rule demands."""
    ENDED = "ENDED"
    NOTIFIED = "NOTIFIED"
    """The message that it is over is on its way."""


_P, _F, _R = State.PENDING, State.FIRING, State.RESOLVED

STEPS: Final[Mapping[tuple[State | None, Step], State | None]] = {
    (None, Step.STARTED): _P,
    (None, Step.ENDED): None,
    (_P, Step.STARTED): _P,
    (_P, Step.HELD): _F,
    # It was over before it mattered.
    (_P, Step.ENDED): None,
    # It goes on; where nothing ends it but time, that begins anew.
    (_F, Step.STARTED): _F,
    (_F, Step.ENDED): _R,
    (_R, Step.STARTED): _P,
    (_R, Step.ENDED): _R,
    (_R, Step.NOTIFIED): None,
}
"""The state after a step; None: there is no alert. A pair that is missing cannot happen."""


def after(state: State | None, step: Step) -> State | None:
    """Return where a step leads.

    Raises:
        KeyError: the step does not happen in this state.
    """
    return STEPS[state, step]
