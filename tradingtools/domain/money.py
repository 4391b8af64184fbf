"""Amounts as integers of a millionth (micros) of USDC, a share, or a price per share.

Text becomes micros exactly or not at all; no float ever touches an amount. Rounding, where it
cannot be avoided, is named in the function and goes against taking risk.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import lru_cache

MICROS = 1_000_000
MAX_MICROS = 2**63 - 1
_MAX_TEXT = 64
_MAX_EXPONENT = 30
# Room for every text that is let in: scaling under the default context rounds after 28 digits.
_EXACT = Context(prec=2 * _MAX_TEXT)


class AmountError(ValueError):
    """The text is not an amount; the message says what is wrong with it."""


def _decimal(text: str) -> Decimal:
    if (
        not text
        or len(text) > _MAX_TEXT
        or not text.isascii()
        or "_" in text
        or text != text.strip()
    ):
        raise AmountError("is not a decimal number")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise AmountError("is not a decimal number") from None
    if not value.is_finite():
        raise AmountError("is not finite")
    exponent = value.as_tuple().exponent
    if (
        not isinstance(exponent, int)
        or abs(exponent) > _MAX_EXPONENT
        or value.adjusted() > _MAX_EXPONENT
    ):
        raise AmountError("is out of range")
    return value


def parse_exact(text: str) -> int:
    """Decimal text to micros.

    Raises:
        AmountError: not a finite decimal number, more than six decimals, or out of range.
    """
    scaled = _decimal(text).scaleb(6, _EXACT)
    if scaled != scaled.to_integral_value():
        raise AmountError("has more than six decimals")
    return _bounded(int(scaled))


def parse_rounded(text: str) -> int:
    """Decimal text to micros, half-even: only for a leader's price, which may be an average.

    Raises:
        AmountError: not a finite decimal number, or out of range.
    """
    return _bounded(int(_decimal(text).scaleb(6, _EXACT).to_integral_value(ROUND_HALF_EVEN)))


def _bounded(value: int) -> int:
    if abs(value) > MAX_MICROS:
        raise AmountError("is out of range")
    return value


@lru_cache(maxsize=4096)
def to_text(micros: int) -> str:
    """Micros as the shortest exact decimal text: 1500000 is "1.5"."""
    # The orders of a fan-out share a few.
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    return f"{sign}{whole}" if part == 0 else f"{sign}{whole}.{part:06d}".rstrip("0")


def divided_half_even(value: int, by: int) -> int:
    """Return a quotient (both >= 0, by > 0) as people read it: the nearest whole, of two the even
    one."""
    whole, rest = divmod(value, by)
    return whole + (2 * rest > by or (2 * rest == by and whole % 2))


def floor_to(value: int, step: int) -> int:
    """Return the largest multiple of ``step`` that is not above ``value`` (both >= 0, step > 0)."""
    return value - value % step


def ceil_to(value: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is not below ``value`` (both >= 0, step >
    0)."""
    return -(-value // step) * step


def notional_floor(size_micros: int, price_micros: int) -> int:
    """Return what a size fetches at a price, rounded down to a micro."""
    return size_micros * price_micros // MICROS


def notional_ceil(size_micros: int, price_micros: int) -> int:
    """Return what a size costs at a price, rounded up to a micro."""
    return -(-size_micros * price_micros // MICROS)


def size_for(budget_micros: int, price_micros: int) -> int:
    """Return the largest size whose cost, rounded up, is within a budget.

    The floor of budget / price: ceil(size x price) <= budget holds for it, since budget is whole.
    """
    return budget_micros * MICROS // price_micros
