"""Faults of a seed, and how often they come: drawn once, then asked at each request.

While the storm is on every kind that the seed has chosen may hit; when it is over nothing goes
wrong any more, and what is then not settled never will be.
"""

from __future__ import annotations

import random
from typing import Final

KINDS: Final[dict[str, float]] = {
    # Of each statement and commit.
    "db request lost": 0.004,
    "db reply lost": 0.004,
    "db slow": 0.02,
    "killed at a statement": 0.002,
    # Of each message of a stream, and of each call.
    "stream cut": 0.02,
    "stream slow": 0.05,
    "call lost": 0.1,
    # Of each message that a reader takes.
    "message not handled": 0.04,
    # Of each order that is sent to insiders-api.
    "killed at a request": 0.05,
    "killed at an answer": 0.05,
    "no connection ready": 0.1,
    "connection late": 0.3,
    "connection gone": 0.1,
    "post refused": 0.08,
    "post lost": 0.05,
    "post lost silently": 0.05,
    "answer lost": 0.06,
    "answer lost silently": 0.06,
    "answer slow": 0.08,
    "post late": 0.08,
    "post twice": 0.05,
    "server error before": 0.05,
    "server error after": 0.05,
    "rate limited": 0.08,
    "another key in the answer": 0.03,
    "answer cut short": 0.03,
    "proxy's error page": 0.03,
    # Of each other question to it.
    "question lost": 0.1,
    "question slow": 0.1,
    "question refused": 0.05,
    "another size in the answer": 0.02,
    # Of each order that it accepts, and of each of its trades.
    "matched later": 0.2,
    "trade fails": 0.1,
    "trade retries": 0.2,
    # Of each fact about a leader.
    "fact again": 0.2,
    "fact late": 0.2,
    # Of each commit that ends a transaction of several statements.
    "commit not answered": 0.1,
}
"""The highest chance of each kind."""


class Storm:
    """One seed's faults.

    Args:
        rng: of every draw.
        calm: nothing goes wrong at all.
    """

    def __init__(self, rng: random.Random, *, calm: bool = False) -> None:
        self.rng = rng
        self._draw = rng.random
        self.on = not calm
        self._chances = {
            kind: most * rng.random()
            for kind, most in KINDS.items()
            if not calm and rng.random() < 0.6
        }
        self.counts: dict[str, int] = {}

    def end(self) -> None:
        """Nothing goes wrong from now on."""
        self.on = False
        self._chances.clear()

    def hits(self, kind: str) -> bool:
        """Return whether it happens now."""
        chance = self._chances.get(kind)
        if chance is None or self._draw() >= chance:
            return False
        self.note(kind)
        return True

    def note(self, kind: str) -> None:
        """Count a fault."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def delay(self, typical_seconds: float) -> float:
        """Return how long something takes: mostly about as long as usual, sometimes nothing."""
        draw = self._draw()
        return 0.0 if draw < 0.3 else typical_seconds * (0.2 + 2 * draw * draw)
