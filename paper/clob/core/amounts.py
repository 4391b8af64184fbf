"""Decimal text into micros and back, exactly."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?P<whole>[0-9]{0,15})(\.(?P<part>[0-9]{1,18}))?")


def micros(text: str) -> int:
    """Return the micros of a plain decimal, digits beyond the sixth cut off. Raises ValueError."""
    found = _NUMBER.fullmatch(text)
    if found is None or not (found["whole"] or found["part"]):
        raise ValueError(f"{text[:40]!r} is no plain decimal")
    part = (found["part"] or "")[:6].ljust(6, "0")
    return int(found["whole"] or "0") * 1_000_000 + int(part)


def text(of: int, digits: int = 6) -> str:
    """Return the shortest decimal of an amount of so many digits."""
    sign, of = ("-", -of) if of < 0 else ("", of)
    whole, part = divmod(of, 10**digits)
    tail = f"{part:0{digits}d}".rstrip("0")
    return f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}"


def price_text(of: int) -> str:
    """Return a price of 1e-4 units as the venue writes it."""
    return text(of, 4)
