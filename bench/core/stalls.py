"""Find the exits that stood in a stall which a bare commit met, too. Pure.

What stops a bare insert and commit on the same PostgreSQL is the disk, or the machine, and nothing
of the guard's. Exits that were under way in such a time say something about the machine; the others
say what the guard takes. Whether one belongs to the others does not depend on how long it took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STALL_MS = 5.0
"""A bare commit that took longer is a stall: half of what an exit may take."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Something that was under way for a while."""

    started_ns: int
    """Monotonic."""
    ms: float

    @property
    def ended_ns(self) -> int:
        """Monotonic."""
        return self.started_ns + int(self.ms * 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """Exits by whether they met a stall."""

    stalled: tuple[Taken, ...]
    others: tuple[Taken, ...]


def divide(exits: Sequence[Taken], bare: Sequence[Taken]) -> Divided:
    """Exits that a stalled bare commit was under way beside at any moment, and the others.

    Bare commits come now and then only: a short stall that none of them met is not known here, and
    its exits are among the others.
    """
    stalls = [commit for commit in bare if commit.ms > STALL_MS]

    def met(taken: Taken) -> bool:
        return any(s.started_ns < taken.ended_ns and taken.started_ns < s.ended_ns for s in stalls)

    return Divided(
        stalled=tuple(taken for taken in exits if met(taken)),
        others=tuple(taken for taken in exits if not met(taken)),
    )
