"""What an answer of insiders-api proves. Pure.

Only two things are proofs: an acceptance that echoes our key, and a refusal in insiders-api's own
error schema with a code on the definitive list. Everything else says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.venue_order import VenueOrder
from tradingtools.venues.insiders.schemas import (
    DEFINITIVE_REJECTIONS,
    WireError,
    parse_error,
    parse_order,
)


class Meaning(Enum):
    """What may be concluded."""

    ACCEPTED = auto()
    REJECTED = auto()
    NOT_ACCEPTED = auto()
    """Provably not taken this time; may be sent again before its deadline."""
    HELD_BACK = auto()
    """Provably not taken, and not let out any more: why is the code."""
    UNKNOWN = auto()


PAUSE_MS = 50
"""Before an order is sent again, where nobody asks for a longer pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The meaning, the code behind it, and the order when it was accepted."""

    meaning: Meaning
    code: str = ""
    order: VenueOrder | None = None
    retry_after_ms: int | None = None
    first_byte_ns: int | None = None
    """When the first byte left of what was not answered, nanoseconds since the epoch."""


NOT_SENT = Verdict(meaning=Meaning.NOT_ACCEPTED, code="NOT_SENT")
"""Nothing has left this time."""


def classify(status: int, body: bytes, order_key: str) -> Verdict:
    """Judge one answer to a first attempt.

    Args:
        status: of HTTP.
        body: at most one byte longer than the limit.
        order_key: that was sent; an answer about another key proves nothing.
    """
    if 200 <= status < 300:
        return _accepted(body, order_key)
    error = parse_error(body)
    if error is None:
        return Verdict(meaning=Meaning.UNKNOWN, code=f"HTTP_{status}")
    code, retry_after_ms = error
    if status in (400, 403) and code in DEFINITIVE_REJECTIONS:
        return Verdict(meaning=Meaning.REJECTED, code=code)
    if status == 429 and code == "RATE_LIMITED":
        return Verdict(meaning=Meaning.NOT_ACCEPTED, code=code, retry_after_ms=retry_after_ms)
    return Verdict(meaning=Meaning.UNKNOWN, code=code)


def next_try_ms(verdict: Verdict, left_ms: int) -> int | None:
    """How long to wait before what was not accepted is sent again; None: not any more.

    Args:
        verdict: of the last answer.
        left_ms: until the order may leave no more.

    It honours what was asked for within the order's time. There is nothing to wait for when that
    outlasts it, and a timer that ends early would send the order only to be refused as too late.
    """
    wait = verdict.retry_after_ms or PAUSE_MS
    return wait if wait < left_ms else None


def _accepted(body: bytes, order_key: str) -> Verdict:
    try:
        order = parse_order(body)
    except WireError:
        return Verdict(meaning=Meaning.UNKNOWN, code="MALFORMED_ANSWER")
    if order.order_key != order_key or not order.order_id:
        return Verdict(meaning=Meaning.UNKNOWN, code="ANOTHER_KEY")
    if order.voided:
        # Taken and declared unusable at once: a contradiction, which proves neither.
        return Verdict(meaning=Meaning.UNKNOWN, code="VOIDED")
    return Verdict(meaning=Meaning.ACCEPTED, order=order)
