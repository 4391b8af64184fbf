"""Rate limits as sliding windows, shared by REST and sockets."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within so many ms."""

    count: int
    window_ms: int


ORDERS = Limit(60, 2_000)
"""Place, amend, cancel: each by user and instrument."""
BATCHES = Limit(300, 2_000)
"""The same in batches, counted by order, apart from single ones."""
SUB_ACCOUNT = Limit(1_000, 2_000)
"""New and amended orders of a sub-account."""


class Limits:
    """Instants of what was done lately, by the key that a limit is counted by."""

    def __init__(self) -> None:
        self._seen: defaultdict[Hashable, deque[int]] = defaultdict(deque)

    def allows(self, key: Hashable, limit: Limit, now_ms: int, *, weight: int = 1) -> bool:
        """Count `weight` more if the limit allows that; False: it does not, nothing is counted."""
        seen = self._seen[key]
        while seen and seen[0] <= now_ms - limit.window_ms:
            seen.popleft()
        if len(seen) + weight > limit.count:
            return False
        seen.extend([now_ms] * weight)
        return True
