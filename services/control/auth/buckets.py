"""Token buckets: how often somebody may ask. Pure; the time is an argument.

A bucket fills steadily and holds two seconds' worth, so short bursts pass and a flood does not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

_SECOND_NS = 1_000_000_000
_BURST_SECONDS = 2
MAX_KEYS = 10_000


class Bucket(NamedTuple):
    """The rest of a bucket at an instant, in requests times nanoseconds, so that nothing is
    rounded."""

    left: int
    at_ns: int


def spend(bucket: Bucket | None, per_second: int, now_ns: int) -> tuple[Bucket, int]:
    """Take one request out.

    Args:
        bucket: as it was left; None: full.
        per_second: how fast it fills.
        now_ns: of a clock that never goes back.

    Returns:
        The bucket afterwards, and for how many nanoseconds the caller has to wait; 0: he may pass.
        Who may not pass takes nothing out.
    """
    full = per_second * _BURST_SECONDS * _SECOND_NS
    left = full
    if bucket is not None:
        left = min(full, bucket.left + max(0, now_ns - bucket.at_ns) * per_second)
    if left < _SECOND_NS:
        return Bucket(left, now_ns), -((left - _SECOND_NS) // per_second)
    return Bucket(left - _SECOND_NS, now_ns), 0


class Buckets:
    """The buckets of many keys; the least recently used goes when there are too many.

    Args:
        per_second: how fast each fills.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_ns(self, key: str, now_ns: int) -> int:
        """Take one request of ``key``; how long it has to wait instead, 0 when it may pass."""
        bucket, wait = spend(self._buckets.pop(key, None), self._per_second, now_ns)
        self._buckets[key] = bucket
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return wait
