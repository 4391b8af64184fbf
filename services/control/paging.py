"""Pages by key: a token names the last row of a page, so rows that come later move nothing.

Tokens are opaque to callers. One belongs to its list: it is refused elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tradingtools.domain.errors import InvalidField

DEFAULT_SIZE = 50
Key = tuple[datetime, list[str]]
"""An instant, and the texts that order rows of one instant."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPACT = json.JSONEncoder(separators=(",", ":")).encode
_MAX_US = 253_402_300_799_999_999


def size(requested: int) -> int:
    """Return how many rows a page has; 0 means the default."""
    return requested or DEFAULT_SIZE


def encode(scope: str, at: datetime, *rest: str) -> str:
    """The token of the page that follows the row with this key.

    Args:
        scope: the list: its kind and filters.
        at: the row's instant, to the microsecond.
        rest: what orders rows of one instant.
    """
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    payload = _COMPACT([_digest(scope), micros, *rest])
    return base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")


def decode(scope: str, token: str, count: int) -> Key | None:
    """The key of the row after which the page starts; None for the first page.

    Args:
        scope: as at ``encode``.
        token: from the page before; empty for the first.
        count: how many texts follow the instant.

    Raises:
        InvalidField: not a token of this list.
    """
    if not token:
        return None
    try:
        return _parse(scope, token, count)
    except (ValueError, binascii.Error, RecursionError):
        expected = "a token from the page before of the same list"
        raise InvalidField(
            f"pageToken: expected {expected}", field="pageToken", expected=expected
        ) from None


def _parse(scope: str, token: str, count: int) -> Key:
    padded = token + "=" * (-len(token) % 4)
    value: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if not isinstance(value, list) or len(value) != 2 + count or value[0] != _digest(scope):
        raise ValueError("another list")
    micros, rest = value[1], value[2:]
    if type(micros) is not int or not 0 <= micros <= _MAX_US:
        raise ValueError("instant out of range")
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() for text in rest):
        raise ValueError("not a key")
    return _EPOCH + timedelta(microseconds=micros), rest


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:16]
