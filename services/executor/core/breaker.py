"""When to stop asking a dependency that fails, and how to find out that it is back. Pure.

A table of states and events, like the order's: CLOSED lets everything out, OPEN nothing, HALF_OPEN
one probe of one executor. What counts as failure is silence, 5xx and 429; a refusal is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto


class BreakerState(StrEnum):
    """Where a breaker stands. Values are what the database stores."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Event(Enum):
    """The events that move a breaker."""

    TRIPPED = auto()
    """Too many failures in a row."""
    PROBE_TAKEN = auto()
    """An executor wants to send the one request; only when it is time."""
    PROBE_PASSED = auto()
    PROBE_FAILED = auto()
    PROBE_RETURNED = auto()
    """Nothing was sent after all."""


_S, _E = BreakerState, Event
TRANSITIONS: dict[tuple[BreakerState, Event], BreakerState] = {
    (_S.CLOSED, _E.TRIPPED): _S.OPEN,
    (_S.OPEN, _E.PROBE_TAKEN): _S.HALF_OPEN,
    # The probe before it is nobody's any more, or was silent for too long.
    (_S.HALF_OPEN, _E.PROBE_TAKEN): _S.HALF_OPEN,
    (_S.HALF_OPEN, _E.PROBE_PASSED): _S.CLOSED,
    (_S.HALF_OPEN, _E.PROBE_FAILED): _S.OPEN,
    (_S.HALF_OPEN, _E.PROBE_RETURNED): _S.OPEN,
}
"""Every move there is, but for an operator's reset to CLOSED."""
_OF_THE_PROBER = frozenset({_E.PROBE_PASSED, _E.PROBE_FAILED, _E.PROBE_RETURNED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When it opens and for how long. Milliseconds."""

    failures: int
    """In a row, as one executor counts them."""
    open_ms: int
    """The first pause; it doubles with each opening in a row."""
    longest_ms: int
    probe_ms: int
    """After so long without an answer there may be another probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One row of the table of breakers."""

    state: BreakerState = BreakerState.CLOSED
    version: int = 1
    openings: int = 0
    retry_at_ms: int = 0
    """From when a probe may be taken; in HALF_OPEN, another one."""
    prober: str = ""
    """Who sent the probe under way, with the epoch of its lease: `prober_name`."""
    prober_lives: bool = True
    """Whether that lease is its partition's present one."""
    reason: str = ""


def prober_name(partition: int, epoch: int) -> str:
    """Return an executor's name in a breaker's row; each life of a process has another."""
    return f"executor-{partition}@{epoch}"


def is_failure(status: int | None) -> bool:
    """Return whether an answer's status counts as a failure; None: there was no answer."""
    return status is None or status >= 500 or status == 429


def may_probe(breaker: Breaker, now_ms: int, policy: Policy) -> bool:
    """Return whether a probe may be taken: it is due, or the last prober is gone.

    Or the time has stepped back since: nobody was ever to wait for twice the longest pause.
    """
    left_ms = breaker.retry_at_ms - now_ms
    stepped_back = left_ms > 2 * max(policy.longest_ms, policy.probe_ms)
    return left_ms <= 0 or stepped_back or not breaker.prober_lives


def after(
    breaker: Breaker, event: Event, now_ms: int, policy: Policy, *, who: str, reason: str = ""
) -> Breaker | None:
    """Return the breaker after an event; None: the event does not move it.

    Args:
        breaker: as it stands.
        event: what happened.
        now_ms: the present.
        policy: of this breaker.
        who: the executor that speaks.
        reason: for an opening.
    """
    target = TRANSITIONS.get((breaker.state, event))
    if target is None or (event in _OF_THE_PROBER and breaker.prober != who):
        return None
    if event is Event.PROBE_TAKEN and not may_probe(breaker, now_ms, policy):
        return None
    moved = replace(
        breaker, state=target, version=breaker.version + 1, prober="", prober_lives=True
    )
    if target is BreakerState.CLOSED:
        return replace(moved, openings=0, retry_at_ms=0, reason="")
    if target is BreakerState.HALF_OPEN:
        return replace(moved, prober=who, retry_at_ms=now_ms + policy.probe_ms)
    if event is Event.PROBE_RETURNED:
        return replace(moved, retry_at_ms=now_ms)
    pause_ms = min(policy.open_ms << min(breaker.openings, 20), policy.longest_ms)
    return replace(
        moved, openings=breaker.openings + 1, retry_at_ms=now_ms + pause_ms, reason=reason
    )
