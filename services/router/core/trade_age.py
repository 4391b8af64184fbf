"""Compute how long an entry may still be sent; its time runs from the leader's trade. Pure.

The venue dates trades in whole seconds by its own clock. The start of the second counts, so that an
entry ends too early rather than too late. A trade dated in the future happened now.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradingtools.domain.subscription import Subscription


def left_ms(traded_ms: int, age_ms: int, now_ms: int) -> int:
    """Return milliseconds until a copy of the trade is too old; below zero: it is."""
    return min(traded_ms, now_ms) + age_ms - now_ms


def too_old(traded_ms: int, age_ms: int, now_ms: int, least_ms: int) -> str | None:
    """Say why an entry could not leave in its time; None: it can.

    Args:
        traded_ms: when the leader traded, since 1970.
        age_ms: the subscription's maximum age.
        now_ms: since 1970.
        least_ms: what an order needs to be claimed, made durable and sent.
    """
    left = left_ms(traded_ms, age_ms, now_ms)
    if left >= least_ms:
        return None
    age = age_ms - left
    if left < 0:
        return f"{age} ms > {age_ms} ms"
    return f"{age} ms, and {least_ms} ms to be sent, > {age_ms} ms"


def nobody_in_time(
    traded_ms: int, followers: Iterable[Subscription], now_ms: int, least_ms: int
) -> bool:
    """Return whether a copy of the trade would be too old for each of these followers."""
    return not any(left_ms(traded_ms, s.age_ms, now_ms) >= least_ms for s in followers)


def deadline_ms(traded_ms: int, age_ms: int, now_ms: int, ttl_ms: int) -> int:
    """Return until when an entry that is claimed now may be sent, milliseconds since 1970.

    Args:
        traded_ms: when the leader traded, since 1970.
        age_ms: the subscription's maximum age.
        now_ms: since 1970.
        ttl_ms: of a claim, however young the trade is.
    """
    return now_ms + min(ttl_ms, left_ms(traded_ms, age_ms, now_ms))
