"""Choose the wait between two looks at the tables. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

_SLOWER: Final = 1.05
"""From one look that found nothing to the next: a twentieth of how long nothing moves."""


class ReadResult(Enum):
    """The result of a look."""

    COMPLETE = auto()
    """Rows that are in the log now."""
    INCOMPLETE = auto()
    """New rows, beside a transaction that runs and may have earlier ones."""
    NOTHING = auto()


def next_pause(before: float, found: ReadResult, *, busy: float, idle: float) -> float:
    """Return the seconds until the next look.

    What runs beside new rows has ended a few milliseconds later, as a rule. Each write costs ten
    looks, so it is followed by a longer pause, which gathers more for the next one. While nothing
    moves, or a transaction stays open that holds the log back, looks become rarer.

    Args:
        before: the pause before this look.
        found: by this look.
        busy: the pause behind a write.
        idle: the longest one.
    """
    if found is ReadResult.COMPLETE:
        return busy
    return busy / 2 if found is ReadResult.INCOMPLETE else min(before * _SLOWER, idle)
