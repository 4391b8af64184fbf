"""Amounts on the wire and inside, because money is exact or it is refused.

Inside every amount is an int in micros (1e-6 of a USDC, a share or a price); on the wire it is a
decimal string. Used by everything that parses or writes JSON here; comes before nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

ONE = 1_000_000
"""One USDC, one share, or a price of 1, in micros."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,6}))?", re.ASCII)


def parse_amount(text: object) -> int:
    """Micros of a decimal string with at most 12 digits before and 6 after the point.

    Raises ValueError for anything else: numbers, signs, exponents, spaces, leading zeros.
    """
    match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a decimal string with at most 6 decimals")
    whole, fraction = match.groups()
    return int(whole) * ONE + int((fraction or "").ljust(6, "0"))


@lru_cache(maxsize=4096)
def format_amount(micros: int) -> str:
    """The shortest decimal string of an amount in micros; the inverse of `parse_amount`."""
    whole, fraction = divmod(abs(micros), ONE)
    text = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text


def ceil_div(dividend: int, divisor: int) -> int:
    """Quotient rounded up, for a positive divisor."""
    return -(-dividend // divisor)
