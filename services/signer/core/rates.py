"""Bound how many signatures each wallet gets."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rest of a burst, and since when it is that."""

    left: float
    at_ns: int


def full(burst: int, now_ns: int) -> Bucket:
    """Return the bucket of a wallet that has not been asked for yet."""
    return Bucket(burst, now_ns)


def take(bucket: Bucket, rate: int, burst: int, now_ns: int) -> tuple[Bucket, bool]:
    """Return the bucket after one more signature, and whether there may be one."""
    passed = max(0, now_ns - bucket.at_ns)
    left = min(float(burst), bucket.left + passed * rate / 1_000_000_000)
    found = Bucket(left, max(now_ns, bucket.at_ns))
    return (replace(found, left=left - 1), True) if left >= 1 else (found, False)
