"""Cursors of the stream of leader trades, and how often a refused frame is kept.

A cursor is a time and a counter in one integer that only rises, and at the same time the id of
the entry in Redis.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.errors import CursorOutOfRange, InvalidField

_BITS = 20
_COUNTER = (1 << _BITS) - 1
_MS_END = 10**16


def next_cursor(last: int, now_ms: int) -> int:
    """Return the cursor after ``last``: of this millisecond, or the next number when time stands
    still."""
    return max(last + 1, now_ms << _BITS)


def entry_id(cursor: int) -> str:
    """Return a cursor as the id of a stream entry, ``<ms>-<n>``."""
    return f"{cursor >> _BITS}-{cursor & _COUNTER}"


def cursor_ms(cursor: int) -> int:
    """Return when a cursor was given, at the latest."""
    return cursor >> _BITS


def from_entry_id(text: str) -> int:
    """Return the cursor of a stream entry. Raises ValueError."""
    ms, _, n = text.partition("-")
    if not (ms.isdecimal() and n.isdecimal() and len(ms) <= 16 and int(n) <= _COUNTER):
        raise ValueError("is not <ms>-<n>")
    return int(ms) << _BITS | int(n)


HIGHEST = entry_id((_MS_END << _BITS) - 1)
"""The id of the last entry that a cursor can name."""


def at_or_above(text: str) -> int | None:
    """Return the first cursor no smaller than the id of any entry; None: there is none."""
    ms, n = map(int, text.split("-"))
    cursor = ms << _BITS | n if n <= _COUNTER else (ms + 1) << _BITS
    return cursor if cursor < _MS_END << _BITS else None


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of the Redis log; cursors of another one mean nothing here."""

    name: str

    def write(self, cursor: int) -> str:
        """Write a cursor as ``<incarnation>-<ms>-<n>``."""
        return f"{self.name}-{entry_id(cursor)}"

    def read(self, text: str) -> int:
        """Return a reader's cursor; empty means before everything.

        Raises:
            CursorOutOfRange: it is of another incarnation.
            InvalidField: it is no cursor at all.
        """
        if not text:
            return 0
        name, _, entry = text.partition("-")
        try:
            cursor = from_entry_id(entry)
        except ValueError:
            raise InvalidField(
                "cursor: is not a cursor of this stream",
                field="cursor",
                expected="<incarnation>-<ms>-<n>",
            ) from None
        if name != self.name:
            raise CursorOutOfRange("cursor: is of another incarnation of the log", cursor=text)
        return cursor


class Sampling:
    """Lets one sample pass for each reason and interval; all are counted elsewhere."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._last: dict[str, int] = {}

    def allow(self, reason: str, now_ms: int) -> bool:
        """Return whether this one is kept."""
        last = self._last.get(reason)
        if last is not None and now_ms - last < self._interval_ms:
            return False
        self._last[reason] = now_ms
        return True
