"""The clocks of a process: the one place where the money path asks what time it is.

PostgreSQL's clock is the one that deadlines and leases are judged by, and whoever holds a lease
goes by it: each renewal tells its time (:func:`agree`), and from the first one on a step of the
system's wall clock changes nothing. Who holds no lease goes by the system's. The simulation runs
many processes in one and puts its own clock here, so that a seed gives the same times whenever it
is run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Clock(Protocol):
    """Wall time and a clock that never goes back, both in nanoseconds."""

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary instant."""


TOLERATED_NS = 50_000_000
"""Clocks that differ by less agree: a correction would cost more than it mends."""


class _System:
    """The system's wall clock until PostgreSQL has reported its time; then that, counted on."""

    def __init__(self) -> None:
        self._zero_ns: int | None = None

    def time_ns(self) -> int:
        return time.time_ns() if self._zero_ns is None else self._zero_ns + time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def agree(self, server_ns: int, requested_ns: int) -> int:
        now_ns = time.monotonic_ns()
        # Of the same instant: what passes between two looks would put the clock forward for good.
        wall_ns = time.time_ns() if self._zero_ns is None else self._zero_ns + now_ns
        # It was reported at some instant between question and answer.
        half_ns = (now_ns - requested_ns) // 2
        off_ns = server_ns - (wall_ns - half_ns)
        if abs(off_ns) <= TOLERATED_NS + half_ns:
            off_ns = 0
        self._zero_ns = wall_ns + off_ns - now_ns
        return off_ns


_system = _System()
_clock: Clock = _system


def now_ns() -> int:
    """Nanoseconds since 1970."""
    return _clock.time_ns()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return _clock.time_ns() // 1_000_000


def monotonic_ns() -> int:
    """Nanoseconds of a clock that never goes back; only differences mean anything."""
    return _clock.monotonic_ns()


def monotonic_ms() -> int:
    """Milliseconds of the same clock."""
    return monotonic_ns() // 1_000_000


def monotonic() -> float:
    """Seconds of the same clock."""
    return _clock.monotonic_ns() / 1e9


def agree(server_ns: int, requested_ns: int) -> int:
    """Take over the wall time of the database, unless it is ours already.

    Args:
        server_ns: what it said, nanoseconds since 1970.
        requested_ns: `monotonic_ns` when it was asked.

    Returns:
        By how much this process's wall clock was put forward (negative: back), nanoseconds. A clock
        that replaces the system's is everybody's, and is left alone.
    """
    return _system.agree(server_ns, requested_ns) if _clock is _system else 0


@contextmanager
def replaced(clock: Clock) -> Iterator[None]:
    """Have every reader of this process ask another clock."""
    global _clock  # noqa: PLW0603
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before
