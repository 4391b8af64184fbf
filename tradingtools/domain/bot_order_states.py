"""The states of a bot's resting order, and every transition there is.

Two columns: the state, and the request that is under way for it. Shared by the engine of bots, the
database, the tests and the documentation; a transition that is not here does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BotOrderState(StrEnum):
    """Where an order stands. Values are what the database stores."""

    INTENDED = "INTENDED"
    SUBMITTING = "SUBMITTING"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"
    LOST = "LOST"
    DEAD = "DEAD"
    RESURRECTED = "RESURRECTED"


class PendingRequest(StrEnum):
    """The request that was sent for an order and not answered yet."""

    NONE = "NONE"
    PLACE = "PLACE"
    AMEND = "AMEND"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal step, and what must hold when it is taken."""

    source: BotOrderState | None
    target: BotOrderState
    guard: str


_S = BotOrderState

_TOLD = "the venue tells it, by socket or when it is read"
_FILL = "a fill is booked, once by its id"
_BREACH = "breach: it exists after all; its bot stops, a person is called"
_MORE = "breach: a fill beyond what its end told; its bot stops, a person is called"
BY_OPERATOR = "an operator, with evidence, audited"

TRANSITIONS: tuple[Transition, ...] = (
    Transition(None, _S.INTENDED, "risk lets it in and its size is reserved"),
    Transition(
        _S.INTENDED,
        _S.SUBMITTING,
        "lease held, within a durable permit; committed or covered before the first byte leaves",
    ),
    Transition(_S.SUBMITTING, _S.OPEN, "accepted, or " + _TOLD),
    Transition(_S.SUBMITTING, _S.REJECTED, "a definitive refusal, and nothing speaks against it"),
    Transition(_S.SUBMITTING, _S.UNKNOWN, "anything else, or its owner has gone"),
    Transition(_S.SUBMITTING, _S.PARTIALLY_FILLED, _FILL + " before its acknowledgement"),
    Transition(_S.SUBMITTING, _S.FILLED, _TOLD),
    Transition(_S.SUBMITTING, _S.CANCELLED, _TOLD),
    Transition(_S.SUBMITTING, _S.EXPIRED, _TOLD),
    Transition(_S.OPEN, _S.PARTIALLY_FILLED, _FILL),
    Transition(_S.OPEN, _S.FILLED, _TOLD),
    Transition(_S.OPEN, _S.CANCELLED, _TOLD),
    Transition(_S.OPEN, _S.EXPIRED, _TOLD),
    Transition(_S.OPEN, _S.UNKNOWN, "its venue does not know it any more"),
    Transition(_S.PARTIALLY_FILLED, _S.OPEN, "every fill of it was undone"),
    Transition(_S.PARTIALLY_FILLED, _S.FILLED, _TOLD),
    Transition(_S.PARTIALLY_FILLED, _S.CANCELLED, _TOLD),
    Transition(_S.PARTIALLY_FILLED, _S.EXPIRED, _TOLD),
    Transition(_S.PARTIALLY_FILLED, _S.UNKNOWN, "its venue does not know it any more"),
    Transition(_S.UNKNOWN, _S.OPEN, _TOLD),
    Transition(_S.UNKNOWN, _S.PARTIALLY_FILLED, _TOLD + "; or " + _FILL),
    Transition(_S.UNKNOWN, _S.FILLED, _TOLD),
    Transition(_S.UNKNOWN, _S.CANCELLED, _TOLD),
    Transition(_S.UNKNOWN, _S.EXPIRED, _TOLD),
    Transition(_S.UNKNOWN, _S.REJECTED, _TOLD),
    Transition(
        _S.UNKNOWN,
        _S.LOST,
        "three not-founds after the last instant at which the venue could take it, while the venue "
        "still remembers ended orders",
    ),
    Transition(_S.UNKNOWN, _S.DEAD, "cannot be decided any more: it stays reserved"),
    Transition(_S.DEAD, _S.OPEN, _TOLD),
    Transition(_S.DEAD, _S.PARTIALLY_FILLED, _TOLD),
    Transition(_S.DEAD, _S.FILLED, _TOLD + "; or " + BY_OPERATOR),
    Transition(_S.DEAD, _S.CANCELLED, _TOLD + "; or " + BY_OPERATOR),
    Transition(_S.DEAD, _S.EXPIRED, _TOLD),
    Transition(_S.DEAD, _S.REJECTED, BY_OPERATOR),
    Transition(_S.LOST, _S.RESURRECTED, _BREACH),
    Transition(_S.REJECTED, _S.RESURRECTED, _BREACH),
    Transition(_S.CANCELLED, _S.RESURRECTED, _MORE),
    Transition(_S.EXPIRED, _S.RESURRECTED, _MORE),
    Transition(_S.RESURRECTED, _S.FILLED, _TOLD + "; or " + BY_OPERATOR),
    Transition(_S.RESURRECTED, _S.CANCELLED, _TOLD + "; or " + BY_OPERATOR),
    Transition(_S.RESURRECTED, _S.EXPIRED, _TOLD),
)

LEGAL: frozenset[tuple[BotOrderState | None, BotOrderState]] = frozenset(
    (t.source, t.target) for t in TRANSITIONS
)

FOR_OPERATORS: frozenset[BotOrderState] = frozenset({_S.DEAD, _S.RESURRECTED})
"""States that nothing but the venue's word, or an operator, ends."""

ENDED: frozenset[BotOrderState] = frozenset(
    {_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED, _S.LOST}
)
"""States in which the venue takes no more fills for it; what is told but not booked is reserved."""
