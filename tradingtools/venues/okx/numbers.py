"""Numbers of OKX's wire: decimal text to integers at a scale, exactly or not at all. Pure.

Every amount comes as text, an absent one as the empty text. A scale is a count of decimals: at
scale 2 the text "8476.98" is 847698.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

_MAX_TEXT = 64
_MAX_EXPONENT = 30
_EXACT = Context(prec=2 * _MAX_TEXT)
MAX_SCALE = 30
_POWERS: tuple[int, ...] = tuple(10**n for n in range(MAX_SCALE + 1))


class NumberError(ValueError):
    """The text is no number of this kind; the message names the field."""


def decimal(name: str, text: str) -> Decimal:
    """Return the exact value. Raises NumberError."""
    if (
        not text
        or len(text) > _MAX_TEXT
        or not text.isascii()
        or "_" in text
        or text != text.strip()
    ):
        raise NumberError(f"{name} is not a decimal number")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise NumberError(f"{name} is not a decimal number") from None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise NumberError(f"{name} is not finite")
    if abs(exponent) > _MAX_EXPONENT or value.adjusted() > _MAX_EXPONENT:
        raise NumberError(f"{name} is out of range")
    return value


def optional_decimal(name: str, text: str) -> Decimal | None:
    """Return the exact value, None for the empty text. Raises NumberError."""
    return decimal(name, text) if text else None


def positive(name: str, text: str) -> Decimal:
    """Return an exact value above zero. Raises NumberError."""
    value = decimal(name, text)
    if value <= 0:
        raise NumberError(f"{name} is not above zero")
    return value


def scale_of(value: Decimal) -> int:
    """Return how many decimals a value needs: 0.10 needs one, 100 none."""
    exponent = value.normalize(_EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def scaled(name: str, text: str, scale: int) -> int:
    """Return the text as an integer at a scale. Raises NumberError where it has more decimals."""
    whole, point, fraction = text.partition(".")
    # The levels of a book are plain digits; everything else goes the long way.
    if whole.isdigit() and whole.isascii() and len(text) <= _MAX_TEXT:
        if not point:
            return int(whole) * _POWERS[scale]
        if len(fraction) <= scale and fraction.isdigit() and fraction.isascii():
            return int(whole + fraction) * _POWERS[scale - len(fraction)]
    return to_scale(name, decimal(name, text), scale)


def to_scale(name: str, value: Decimal, scale: int) -> int:
    """Return a value as an integer at a scale. Raises NumberError where it has more decimals."""
    moved = value.scaleb(scale, _EXACT)
    if moved != moved.to_integral_value():
        raise NumberError(f"{name} has more than {scale} decimals")
    return int(moved)


def floor_to_scale(value: Decimal, scale: int) -> int:
    """Return a value as an integer at a scale, rounded down."""
    return int(value.scaleb(scale, _EXACT).to_integral_value(ROUND_FLOOR))


def near_scale(value: Decimal, scale: int) -> int:
    """Return a value as an integer at a scale, half-even: averages, marks, bankruptcy prices."""
    return int(value.scaleb(scale, _EXACT).to_integral_value(ROUND_HALF_EVEN))


def ceiling_to_scale(value: Decimal, scale: int) -> int:
    """Return a value as an integer at a scale, rounded up."""
    return int(value.scaleb(scale, _EXACT).to_integral_value(ROUND_CEILING))


def to_text(value: Decimal) -> str:
    """Return the one spelling that is sent: no exponent and no idle zeros."""
    return f"{value.normalize(_EXACT):f}" if value else "0"


def whole(name: str, text: str) -> int:
    """Return a whole number that is not negative, a time in ms for example. Raises NumberError."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 20:
        raise NumberError(f"{name} is not a whole number")
    return int(text)


def optional_whole(name: str, text: str) -> int | None:
    """Return a whole number, None for the empty text. Raises NumberError."""
    return whole(name, text) if text else None
