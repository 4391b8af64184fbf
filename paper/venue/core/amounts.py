"""Micros (1e-6) of USDC, shares or price, and their decimal text.

The venue writes amounts as text of any length; everything behind the parser computes in integers.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

ONE = 1_000_000
_NUMBER = re.compile(r"((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


def decimal(text: str) -> Decimal:
    """The unsigned number that `text` writes. Raises ValueError for anything else, NaN too."""
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is not a plain unsigned number")
    return Decimal(text)


def exact(text: str) -> int:
    """Micros of `text`. Raises ValueError when it has more than six decimals or is no number."""
    with localcontext() as context:
        context.prec = 120
        scaled = decimal(text) * ONE
        whole = scaled.to_integral_value()
    if scaled != whole:
        raise ValueError(f"{text!r} has more than 6 decimals")
    return int(whole)


def rounded(text: str) -> int:
    """Micros of `text`, half-even: for recorded prices that are averages with many digits."""
    with localcontext() as context:
        context.prec = 120
        return int((decimal(text) * ONE).to_integral_value(rounding=ROUND_HALF_EVEN))


def text(micros: int) -> str:
    """The shortest decimal text of `micros`: 500000 is "0.5", 5000000 is "5"."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), ONE)
    return f"{sign}{whole}" + (f".{fraction:06d}".rstrip("0") if fraction else "")
