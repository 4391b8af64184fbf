"""The clocks of a process: the one place where the money path asks what time it is.

A process reads the system's clocks. The simulation runs many processes in one and puts its own
clock here, so that a seed gives the same times whenever it is run. PostgreSQL's clock stays the one
that deadlines and leases are judged by.
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


class _System:
    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


_clock: Clock = _System()


def now_ns() -> int:
    """Nanoseconds since 1970."""
    return _clock.time_ns()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return _clock.time_ns() // 1_000_000


def monotonic_ns() -> int:
    """Nanoseconds of a clock that never goes back; only differences mean anything."""
    return _clock.monotonic_ns()


def monotonic() -> float:
    """Seconds of the same clock."""
    return _clock.monotonic_ns() / 1e9


@contextmanager
def replaced(clock: Clock) -> Iterator[None]:
    """Have every reader of this process ask another clock."""
    global _clock  # noqa: PLW0603
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before
