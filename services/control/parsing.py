"""Exact values of what clients send as text, and the error that names a field. Pure.

The contracts' patterns have been checked before; what no pattern can say is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tradingtools.domain import ids, money
from tradingtools.domain.errors import InvalidField

_ETAG = re.compile('"([1-9][0-9]{0,17})"')


def refuse(field: str, expected: str) -> InvalidField:
    """The error for a field: its path in camelCase, and what was expected."""
    return InvalidField(f"{field}: expected {expected}", field=field, expected=expected)


def amount(text: str, field: str) -> int:
    """Decimal text to micros, zero or more. Raises InvalidField."""
    try:
        micros = money.parse_exact(text)
    except money.AmountError as error:
        raise InvalidField(f"{field}: {error}", field=field, expected="a decimal string") from None
    if micros < 0:
        raise refuse(field, "zero or more")
    return micros


def optional_amount(text: str | None, field: str) -> int | None:
    """As ``amount``; absent stays absent."""
    return None if text is None else amount(text, field)


def canonical(parse: Callable[[str], str], text: str, field: str) -> str:
    """An id in its one spelling. Raises InvalidField."""
    try:
        return parse(text)
    except ids.IdError as error:
        raise InvalidField(f"{field}: {error}", field=field, expected=str(error)) from None


def within_one(text: str | None, field: str) -> int | None:
    """A price or fraction between 0 and 1, both excluded, in micros; absent stays absent."""
    micros = optional_amount(text, field)
    if micros is not None and not 0 < micros < money.MICROS:
        raise refuse(field, "more than 0 and less than 1")
    return micros


def if_match(text: str) -> int:
    """The version in an If-Match header, one quoted number as an ETag is; raises InvalidField."""
    found = _ETAG.fullmatch(text)
    if found is None:
        raise refuse("If-Match", 'one ETag as it was answered, such as "3"')
    return int(found[1])
