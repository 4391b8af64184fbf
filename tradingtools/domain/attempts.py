"""Bound how often somebody tries to log in: so many failures of a key within a time."""

from __future__ import annotations

from collections import OrderedDict, deque

_MINUTE = 60.0
_KEYS = 10_000


class Attempts:
    """The failures of late, by key; the one that failed longest ago is forgotten when there are
    too many.

    Args:
        most: of one key.
        seconds: after which a failure is forgotten.
    """

    def __init__(self, most: int, seconds: float = _MINUTE) -> None:
        self._most = most
        self._seconds = seconds
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, key: str, now_s: float) -> float:
        """Count an attempt as failed until it is known better.

        Args:
            key: of who tries, an address for instance.
            now_s: of a clock that never goes back.

        Returns:
            After how many seconds he may try; 0: now, and only then it is counted.
        """
        failed = self._failed.pop(key, deque())
        while failed and failed[0] <= now_s - self._seconds:
            failed.popleft()
        self._failed[key] = failed
        if len(failed) >= self._most:
            return failed[0] + self._seconds - now_s
        failed.append(now_s)
        if len(self._failed) > _KEYS:
            self._failed.popitem(last=False)
        return 0.0

    def forget(self, key: str) -> None:
        """Take back what ``begin`` has counted last."""
        if self._failed.get(key):
            self._failed[key].pop()
