"""The states of an order, and every transition there is.

One table that the database (its foreign key), the executor, confirm, the tests and the
documentation share; a transition that is not here does not exist. After it come the services that
make the transitions; the guards named here are enforced where the transition is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OrderState(StrEnum):
    """Where an order stands. Values are what the database stores."""

    CLAIMED = "CLAIMED"
    SUBMITTING = "SUBMITTING"
    SUBMITTED = "SUBMITTED"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    LOST = "LOST"
    DEAD = "DEAD"
    RESURRECTED = "RESURRECTED"


class FailedKind(StrEnum):
    """The way in which an order failed: what may be concluded about the venue gateway."""

    UNSENT = "UNSENT"
    """No byte ever left."""
    REJECTED = "REJECTED"
    """The venue gateway refused it definitively."""
    KILLED = "KILLED"
    """Accepted, and ended with nothing filled."""
    UNDONE = "UNDONE"
    """Filled, but settlement failed."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal step, who takes it, and what must hold when it commits."""

    source: OrderState | None
    target: OrderState
    guard: str


_S = OrderState

BY_OPERATOR = "an operator, with evidence, audited"
_BREACH = "breach: the key appeared after all; the wallet is set to REDUCING, a human is called"

TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        None, _S.CLAIMED, "with reservation and decision, unique key, committed before streaming"
    ),
    Transition(
        _S.CLAIMED,
        _S.SUBMITTING,
        "lease held, before not_after, subscription unchanged and ACTIVE (entries), no halt; "
        "epoch + 1; committed before the first byte leaves",
    ),
    Transition(_S.CLAIMED, _S.FAILED, "UNSENT: provably nothing was sent"),
    Transition(_S.SUBMITTING, _S.SUBMITTED, "valid acceptance that echoes the key"),
    Transition(
        _S.SUBMITTING,
        _S.FAILED,
        "the first attempt: a definitive rejection; or UNSENT: provably not taken until its time "
        "was over, or a halt, a pause or a change held it back",
    ),
    Transition(_S.SUBMITTING, _S.UNKNOWN, "anything else, or the lease ran out"),
    Transition(
        _S.UNKNOWN,
        _S.SUBMITTING,
        "one key is one order at the venue gateway, attempts left, same bytes, and all that the "
        "first attempt needed; epoch + 1; committed before the first byte leaves",
    ),
    Transition(_S.UNKNOWN, _S.SUBMITTED, "found by key"),
    Transition(
        _S.UNKNOWN,
        _S.LOST,
        "void succeeded; or not_after is enforced and three spaced not-founds after the horizon",
    ),
    Transition(
        _S.UNKNOWN,
        _S.DEAD,
        "cannot be decided, or a contradiction: money stays reserved, a human is called",
    ),
    Transition(_S.DEAD, _S.SUBMITTED, "found by key after all, without a contradiction"),
    Transition(_S.SUBMITTED, _S.CONFIRMED, "closed at the venue, every trade final, some filled"),
    Transition(_S.SUBMITTED, _S.FAILED, "KILLED or UNDONE: closed with no standing fill"),
    Transition(
        _S.SUBMITTED, _S.DEAD, "contradiction: what is told under the key cannot be this order"
    ),
    Transition(_S.LOST, _S.RESURRECTED, _BREACH),
    Transition(_S.FAILED, _S.RESURRECTED, _BREACH),
    Transition(
        _S.CONFIRMED,
        _S.RESURRECTED,
        "breach: its fills changed after the end; the wallet is set to REDUCING, a human is called",
    ),
    Transition(_S.DEAD, _S.CONFIRMED, BY_OPERATOR),
    Transition(_S.DEAD, _S.FAILED, BY_OPERATOR),
    Transition(_S.RESURRECTED, _S.CONFIRMED, BY_OPERATOR),
    Transition(_S.RESURRECTED, _S.FAILED, BY_OPERATOR),
)

LEGAL: frozenset[tuple[OrderState | None, OrderState]] = frozenset(
    (t.source, t.target) for t in TRANSITIONS
)

OPEN: frozenset[OrderState] = frozenset({_S.CLAIMED, _S.SUBMITTING, _S.SUBMITTED, _S.UNKNOWN})
"""States that the engine itself still has to leave."""

RELEASING: frozenset[OrderState] = frozenset({_S.CONFIRMED, _S.FAILED, _S.LOST})
"""States that release what was reserved."""


def operator_ends(state: OrderState) -> tuple[OrderState, ...]:
    """Return the states in which an operator may end an order that stands in ``state``."""
    return tuple(t.target for t in TRANSITIONS if t.source is state and t.guard == BY_OPERATOR)
