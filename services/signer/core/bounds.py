"""Refuse by one form of error, and requests from another time."""

from __future__ import annotations

from tradingtools.domain.errors import InvalidField, NotAllowed

CLOCK_MS = 120_000
"""How far a request's timestamp may be from the signer's clock. The exchanges take 30 s of their
own clock, from which a machine's may be off; a thief would ask for a signature for tomorrow."""


def forbidden(field: str, allowed: str) -> NotAllowed:
    """Return the error of a request that is never signed."""
    return NotAllowed(f"{field}: the signer allows {allowed}")


def malformed(field: str, expected: str) -> InvalidField:
    """Return the error of a field that is none of the exchange's."""
    return InvalidField(f"{field}: expected {expected}", field=field, expected=expected)


def refuse_other_time(field: str, reported_ms: int, now_ms: int) -> None:
    """Refuse an instant that is not now. Raises InvalidField."""
    if abs(reported_ms - now_ms) > CLOCK_MS:
        raise malformed(field, f"within {CLOCK_MS // 1000} s of the signer's clock")
