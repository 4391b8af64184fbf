"""Bound how often somebody tries to log in: so many failures of an address within a minute."""

from __future__ import annotations

from collections import OrderedDict, deque

_SECONDS = 60.0
_ADDRESSES = 10_000


class Attempts:
    """The failures of the last minute, by address; the one that failed longest ago is forgotten
    when there are too many.

    Args:
        most: of one address.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, address: str, now_s: float) -> float:
        """Count an attempt as failed until it is known better.

        Args:
            address: of who tries.
            now_s: of a clock that never goes back.

        Returns:
            After how many seconds he may try; 0: now, and only then it is counted.
        """
        failed = self._failed.pop(address, deque())
        while failed and failed[0] <= now_s - _SECONDS:
            failed.popleft()
        self._failed[address] = failed
        if len(failed) >= self._most:
            return failed[0] + _SECONDS - now_s
        failed.append(now_s)
        if len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)
        return 0.0

    def forget(self, address: str) -> None:
        """Take back what ``begin`` has counted last."""
        if self._failed.get(address):
            self._failed[address].pop()
