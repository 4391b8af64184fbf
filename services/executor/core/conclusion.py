"""Decide which state an order goes to by the verdict on its answer, and why. Pure.

`classify` makes the verdict; the sender adds what it has seen, and the recorder writes it.
"""

from __future__ import annotations

from typing import Any

from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.venues.ports import Meaning, Verdict

HANDLED_BEFORE = "HANDLED_BEFORE"
"""Denied because somebody else has gone on with the order: nothing may be concluded from it."""
FIRST_CHECK_MS = 200
"""Time from an order's acceptance to its first check, milliseconds."""


def conclusion(verdict: Verdict, *, number: int) -> dict[str, Any]:
    """Return the fields of the transition, as `apply_transitions` reads them.

    Args:
        verdict: on the answer, or that there is none.
        number: of the attempt. A refusal of a later one may be there because an earlier one was
            accepted: it proves nothing.
    """
    if verdict.meaning is Meaning.ACCEPTED and verdict.order is not None:
        return {
            "to_state": OrderState.SUBMITTED,
            "venue_order_id": verdict.order.order_id,
            # confirm has this very answer from the stream; only news is requested.
            "next_check_ms": FIRST_CHECK_MS,
        }
    if number == 1 and verdict.meaning is Meaning.REJECTED:
        return _failed(FailedKind.REJECTED, verdict.code)
    if number == 1 and verdict.meaning is Meaning.NOT_ACCEPTED:
        return _failed(FailedKind.UNSENT, Reason.EXPIRED)
    if number == 1 and verdict.meaning is Meaning.HELD_BACK:
        return _failed(FailedKind.UNSENT, verdict.code)
    return {
        "to_state": OrderState.UNKNOWN,
        "reason": Reason.UNANSWERED,
        "detail": verdict.code,
        "next_check_ms": 0,
    }


def held_back(reason: str) -> Verdict:
    """Return the verdict on an order that the gates stopped and that was provably not accepted."""
    if reason == HANDLED_BEFORE:
        return Verdict(meaning=Meaning.UNKNOWN, code="FENCED")
    return Verdict(meaning=Meaning.HELD_BACK, code=reason)


def _failed(kind: FailedKind, reason: str) -> dict[str, Any]:
    return {"to_state": OrderState.FAILED, "failed_kind": kind, "reason": reason}
