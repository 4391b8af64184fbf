"""Judge what an answer of insiders-api proves. Pure.

Only two things are proofs: an acceptance that echoes our key, and a refusal in insiders-api's own
error schema with a code on the definitive list. Everything else says nothing.
"""

from __future__ import annotations

from tradingtools.venues.insiders.schemas import (
    DEFINITIVE_REJECTIONS,
    WireError,
    parse_error,
    parse_order,
)
from tradingtools.venues.ports import Meaning, Verdict


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
