"""Amounts are whole numbers of a quintillionth (10^-18) of their currency.

OKX shows up to eighteen decimals, so micros are too coarse here. Text becomes a number exactly or
not at all; a division says which way it rounds.
"""

from __future__ import annotations

import re

ONE = 10**18
"""One unit of a currency."""

_DECIMAL = re.compile(r"(-?)([0-9]{1,24})(?:\.([0-9]{1,40}))?")


def exact(text: str) -> int:
    """The amount that the text says. Raises ValueError for what is none or is finer than 10^-18."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a decimal number")
    sign, whole, part = found[1], found[2], (found[3] or "").rstrip("0")
    if len(part) > 18:
        raise ValueError(f"{text!r} has more than 18 decimals")
    amount = int(whole) * ONE + int(part.ljust(18, "0") or "0")
    return -amount if sign else amount


def show(amount: int) -> str:
    """The amount as OKX writes numbers: no exponent, no trailing zeros."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), ONE)
    digits = f"{part:018d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def ratio(amount: int, base: int) -> str:
    """`amount / base` with sixteen decimals, toward zero; empty where there is no base."""
    if not base:
        return ""
    sign = -1 if (amount < 0) != (base < 0) else 1
    return show(sign * (abs(amount) * 10**16 // abs(base)) * 100)


def ceil_div(amount: int, by: int) -> int:
    """`amount / by`, rounded up."""
    return -(-amount // by)
