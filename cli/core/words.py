"""Answers in words: what enums, ids, amounts and times look like to people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tradingtools.domain.money import MICROS, divided_half_even, parse_exact, to_text

Json = dict[str, Any]
_SHORT = 14


def short(identifier: str) -> str:
    """Return the ends of a long id."""
    return identifier if len(identifier) <= _SHORT else f"{identifier[:8]}…{identifier[-4:]}"


def bare(value: str, prefix: str) -> str:
    """Return an enum's value without its prefix."""
    return value.removeprefix(prefix)


def state(order: Json) -> str:
    """Return an order's state, with the reason of its end."""
    found = bare(order.get("state", ""), "ORDER_STATE_")
    reason = order.get("reason", "")
    return f"{found} ({reason})" if reason else found


def clock(instant: str | None) -> str:
    """Return an instant to the second, UTC."""
    return (instant or "")[:19].replace("T", " ")


def moment(instant: str) -> datetime:
    """Return an instant of JSON; more than microseconds is cut off."""
    head, dot, rest = instant.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}{dot}{rest[:6].ljust(6, '0') if dot else ''}+00:00")


def duration(seconds: float) -> str:
    """Return how long something took, in the unit that people would take."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.3g} ms"
    if abs(seconds) < 120:
        return f"{seconds:.3g} s"
    if abs(seconds) < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def price_of(notional: str, size: str) -> str:
    """Return USDC a share, rounded half-even to a tenth of a cent; empty without shares."""
    shares = parse_exact(size)
    if shares <= 0:
        return ""
    micros = divided_half_even(parse_exact(notional) * MICROS, shares)
    return to_text(divided_half_even(micros, 1000) * 1000)


def sizing(subscription: Json) -> str:
    """Return how large copies are, in a few words."""
    found = subscription.get("sizing", {})
    factor = f" x {found['multiplier']}" if found.get("multiplier", "1") != "1" else ""
    if "fixed" in found:
        return f"{found['fixed']['amount']} USDC{factor}"
    if "ratio" in found:
        return f"{found['ratio']['ratio']} of his{factor}"
    if "proportional" in found:
        return f"by equity{factor}"
    return f"{len(found.get('tiers', {}).get('tiers', []))} tiers{factor}"


def micros(value: str | int) -> str:
    """Return micros of the operators' service as a decimal."""
    return to_text(int(value))


def role_of(value: str) -> str:
    """Return a role of REST in words."""
    return bare(value, "ROLE_").lower()
