"""The states of a subscription's performance rules, and every transition there is.

Shared by perfmon, which moves them, the database, which refuses any other, the tests and the
documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PerformanceState(StrEnum):
    """Where the rules of a subscription stand. Values are what the database stores."""

    WATCHING = "WATCHING"
    WARNED = "WARNED"
    STOPPED = "STOPPED"
    SCALED = "SCALED"
    COOLING = "COOLING"


_S = PerformanceState

TRANSITIONS: Final[frozenset[tuple[PerformanceState | None, PerformanceState]]] = frozenset(
    {
        (None, _S.WATCHING),
        (_S.WATCHING, _S.WARNED),
        (_S.WATCHING, _S.COOLING),
        # A step without a cooldown.
        (_S.WATCHING, _S.SCALED),
        (_S.WATCHING, _S.STOPPED),
        (_S.WARNED, _S.WATCHING),
        (_S.WARNED, _S.SCALED),
        (_S.WARNED, _S.COOLING),
        # Without the doubtful part the loss is larger than the limit.
        (_S.WARNED, _S.STOPPED),
        (_S.SCALED, _S.WARNED),
        (_S.SCALED, _S.COOLING),
        (_S.SCALED, _S.STOPPED),
        # A person has taken the rule away.
        (_S.SCALED, _S.WATCHING),
        (_S.COOLING, _S.WATCHING),
        (_S.COOLING, _S.SCALED),
        (_S.COOLING, _S.WARNED),
        (_S.COOLING, _S.STOPPED),
        # A person has resumed it, with a new baseline and no scale.
        (_S.STOPPED, _S.WATCHING),
    }
)
"""From and to; None: the subscription had no rules, or nobody had looked at them."""

MEANINGS: Final[Mapping[PerformanceState, str]] = {
    _S.WATCHING: "judged on each mark and each booking; nothing is scaled",
    _S.WARNED: "something held has had no good book for too long: it counts as it was worth before,"
    " losses of everything else stop, and it brings no step up",
    _S.STOPPED: "a loss stop has acted; only a person resumes it",
    _S.SCALED: "as WATCHING, with a scale that is not 1",
    _S.COOLING: "a step was taken: none up until the cooldown is over; losses are judged",
}
"""What each state says, for people."""


def next_state(present: PerformanceState | None, desired: PerformanceState) -> PerformanceState:
    """Return the state that follows on the way to the one that is wanted.

    What is not one transition away is reached over WATCHING.
    """
    if present == desired or (present, desired) in TRANSITIONS:
        return desired
    return PerformanceState.WATCHING
