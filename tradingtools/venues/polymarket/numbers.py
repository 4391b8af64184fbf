"""Numbers of Polymarket's JSON, exactly as they were written.

The venue writes one and the same field now as a number, now as a string. Both are kept as text,
so that no float stands between the wire and an amount.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

import msgspec

from tradingtools.domain import money

_SECONDS_END = 10**11  # as seconds this is the year 5138, as milliseconds it is March 1973
_MILLIS_END = 10**14
_WHOLE = re.compile(r"[0-9]{1,15}")


class NumberError(ValueError):
    """The JSON value is no acceptable number; the message names the field and what is wrong."""


def text(raw: msgspec.Raw) -> str:
    """Return the digits of a JSON number, or the content of a JSON string."""
    written = bytes(raw).decode("utf-8", "replace").strip()
    if len(written) >= 2 and written[0] == '"' == written[-1]:
        return written[1:-1]
    return written


def exact(name: str, written: str) -> int:
    """Micros of a number that must be exact and not negative. Raises NumberError."""
    try:
        value = money.parse_exact(written)
    except money.AmountError as error:
        raise NumberError(f"{name} {error}") from None
    if value < 0:
        raise NumberError(f"{name} is negative")
    return value


def rounded(name: str, written: str) -> int:
    """Micros of a number that may be an average, half-even, not negative. Raises NumberError."""
    try:
        value = money.parse_rounded(written)
    except money.AmountError as error:
        raise NumberError(f"{name} {error}") from None
    if value < 0:
        raise NumberError(f"{name} is negative")
    return value


def canonical(written: str) -> str:
    """Return the one spelling of a number that was read already: no exponent and no idle zeros."""
    return f"{Decimal(written).normalize():f}"


@lru_cache(maxsize=16_384)
def price(name: str, written: str) -> int:
    """Micros of an exact price between 0 and 1, both included. Raises NumberError."""
    value = exact(name, written)
    if value > money.MICROS:
        raise NumberError(f"{name} is above 1")
    return value


def epoch_ms(name: str, written: str) -> int:
    """Milliseconds since the epoch from whole seconds or milliseconds. Raises NumberError."""
    if not _WHOLE.fullmatch(written):
        raise NumberError(f"{name} is not a time")
    value = int(written)
    if value >= _MILLIS_END:
        raise NumberError(f"{name} is out of range")
    return value * 1000 if value < _SECONDS_END else value
