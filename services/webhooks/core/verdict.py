"""Judge a receiver's answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """The outcome of one attempt for its message."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    GIVEN_UP = "given_up"
    """It is not: no attempt can succeed, or there were enough."""
    GONE = "gone"
    """Its endpoint wants nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one attempt."""

    status: int
    """Of HTTP; 0: there was no answer."""
    text: str
    """The beginning of the answer, or why there was none."""
    retry_after: str = ""
    """The header as it came."""
    duration_ms: int = 0


_GONE: Final = 410
_PATIENT: Final = frozenset({429, 503})
"""Answers whose Retry-After counts."""


def verdict(answer: Answer) -> Verdict:
    """Return what an answer means: only 2xx takes a message; a redirect is not followed."""
    if answer.status == _GONE:
        return Verdict.GONE
    return Verdict.DELIVERED if 200 <= answer.status <= 299 else Verdict.FAILED


def retry_after_ms(answer: Answer, now_ms: int) -> int:
    """Return how long a receiver asks to wait; 0: he does not, or not in words that HTTP knows."""
    if answer.status not in _PATIENT or not answer.retry_after:
        return 0
    text = answer.retry_after.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * 1000
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(round((at - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds() * 1000), 0)
