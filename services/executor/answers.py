"""Judge what insiders-api answered, and make the outcome that the recorder writes."""

from __future__ import annotations

from typing import Any

from services.executor.core.attempt import Attempt
from services.executor.core.conclusion import conclusion
from services.executor.recorder import Outcome
from tradingtools.domain.order import Order
from tradingtools.domain.order_states import OrderState
from tradingtools.runtime import instruments
from tradingtools.venues.insiders.order_gateway import Answer
from tradingtools.venues.insiders.schemas import DEFINITIVE_REJECTIONS
from tradingtools.venues.insiders.verdicts import classify
from tradingtools.venues.ports import Meaning, Verdict

_answers = instruments.counter(
    "tradingtools.executor",
    "answers",
    "by meaning and code",
    [
        {"meaning": Meaning.ACCEPTED.name, "code": ""},
        {"meaning": Meaning.NOT_ACCEPTED.name, "code": "RATE_LIMITED"},
        *instruments.each(meaning=(Meaning.REJECTED.name,), code=sorted(DEFINITIVE_REJECTIONS)),
    ],
)


def judge(order: Order, answer: Answer) -> Verdict:
    """Return the verdict on an answer, and count it."""
    verdict = classify(answer.status, answer.body, order.order_key)
    _answers.add(1, {"meaning": verdict.meaning.name, "code": verdict.code})
    return verdict


def outcome_of(attempt: Attempt, verdict: Verdict, answer: Answer | None, trace: str) -> Outcome:
    """Return the transition of an attempt's order; without an answer the verdict is all there is.

    Args:
        attempt: that is over.
        verdict: on its answer, or that there is none.
        answer: as it came.
        trace: of the exchange.
    """
    seen: dict[str, Any] = {
        "order_key": attempt.order.order_key,
        "from_state": OrderState.SUBMITTING,
        "expected_epoch": attempt.epoch,
        "detail": _text(answer.body) if answer else None,
        "first_byte_ns": answer.first_byte_ns if answer else verdict.first_byte_ns,
        "answered_ns": answer.answered_ns if answer else None,
        "held_ns": attempt.origin.held_ns or None,
    }
    fields = seen | conclusion(verdict, number=attempt.number)
    return Outcome(fields=fields, traceparent=trace, attempt=attempt if answer else None)


def _text(body: bytes) -> str:
    """Return an answer as the audit keeps it; PostgreSQL has no NUL in text."""
    return body.decode(errors="replace").replace("\x00", "\ufffd")[:20_000]
