"""When a message is tried again, and when an endpoint is given up. Pure; times in milliseconds."""

from __future__ import annotations

from typing import Final

STEPS: Final = (1, 60, 360, 1_440, 3_600, 7_200, 17_280)
"""Pauses after each attempt, in first ones: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 24 h."""
ATTEMPTS: Final = len(STEPS) + 1
"""Of a message without an order; one in the log's order is tried until its endpoint is disabled."""
_JITTER: Final = 0.2
_DAY_MS: Final = 24 * 3_600_000
DISABLED_AFTER_MS: Final = 5 * _DAY_MS


def pause_ms(attempt: int, first_ms: int, chance: float) -> int:
    """Return how long to wait after a failed attempt.

    Args:
        attempt: which one has failed, from 1; after the last step it stays the longest.
        first_ms: the first pause.
        chance: from 0 to 1, for the jitter.
    """
    step = STEPS[min(attempt, len(STEPS)) - 1]
    return round(step * first_ms * (1 - _JITTER + 2 * _JITTER * chance))


def wait_ms(attempt: int, first_ms: int, chance: float, retry_after_ms: int) -> int:
    """Return the same, where the receiver may have asked for more; at most a day."""
    return max(pause_ms(attempt, first_ms, chance), min(retry_after_ms, _DAY_MS))
