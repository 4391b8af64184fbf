"""The machine's share that a measurement had, and how to have more of it.

A virtual machine whose core halts waits for its host before it runs again. On a busy host that
takes milliseconds, shows as stolen time, and makes whatever sleeps between two messages slow: floor
and system alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from launcher.state import ROOT

_SPIN = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""
_SUMMED = 200_000
_NICE = 19
"""Of their session: the class of a process counts inside of it only."""


def pace_ms() -> float:
    """Return what a fixed piece of work takes of a core now, milliseconds: where a neighbour has
    the other half of it, twice as long, and nothing shows as stolen."""

    def once() -> float:
        started = time.thread_time()
        sum(range(_SUMMED))
        return (time.thread_time() - started) * 1000

    return min(once() for _ in range(5))


class Watch:
    """Load, stolen time and pace from its making on."""

    def __init__(self) -> None:
        self._pace_ms = pace_ms()
        self._before = psutil.cpu_times()

    def stolen(self) -> float:
        """Return what the host gave to others, as a part of the cores' time."""
        before, now = self._before, psutil.cpu_times()
        # What guests took is in user's time, too.
        gone = sum(now[:8]) - sum(before[:8])
        steal = getattr(now, "steal", 0.0) - getattr(before, "steal", 0.0)
        return steal / gone if gone else 0.0

    def said(self) -> str:
        """All of it in words."""
        return (
            f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores,"
            f" {self.stolen():.0%} of their time stolen by the host,"
            f" the same sum in {self._pace_ms:.1f} ms before and {pace_ms():.1f} after"
        )


@contextmanager
def awake(*, desired: bool) -> Iterator[None]:
    """Keep each core from halting while the block lasts, with what nobody else wants of it."""
    spin = [sys.executable, "-S", "-c", _SPIN]
    tether = [sys.executable, "-m", "launcher.tether", "--signal", "KILL", "--nice", str(_NICE)]
    tethered = [*tether, "--", *spin]
    spinning = [
        subprocess.Popen(tethered, cwd=ROOT)  # noqa: S603
        for _ in range((os.cpu_count() or 1) if desired else 0)
    ]
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.wait()
