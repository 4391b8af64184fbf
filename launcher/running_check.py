"""Judges what must hold at any instant while a run goes on, not only once the dust has settled.

Before it: the evidence of this instant. After it: the verdict of the run, which names what was
found on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from launcher.core.evidence import Evidence
from launcher.core.invariants import AT_ANY_TIME, Breach, breaches
from launcher.gather import GatherError

_EVERY_SECONDS = 10.0
_SHARE = 20
"""A look takes at most one part in so many of the time: a long run has much to look at."""
_RETAINED = 20


class RunningCheck:
    """Looks now and then.

    Args:
        collect: the evidence now, not settled; may raise GatherError.
    """

    def __init__(self, collect: Callable[[], Evidence]) -> None:
        self._collect = collect
        self._due = time.monotonic() + _EVERY_SECONDS
        self.looks = 0
        """How often everything was there to be judged."""
        self.found: list[Breach] = []
        """What did not hold, the first ones."""

    def poll(self) -> None:
        """Judge, when it is time to."""
        started = time.monotonic()
        if started < self._due:
            return
        # A store or the venue gateway may be being restarted; the next look finds the same.
        with suppress(GatherError):
            self.judge(self._collect())
        now = time.monotonic()
        self._due = now + max(_EVERY_SECONDS, _SHARE * (now - started))

    def judge(self, evidence: Evidence) -> None:
        """Judge this evidence; what was found before is not named twice."""
        self.looks += 1
        for breach in breaches(evidence, AT_ANY_TIME):
            seen = replace(breach, detail=f"while it ran: {breach.detail}")
            if seen not in self.found and len(self.found) < _RETAINED:
                self.found.append(seen)
