"""The venue's clock as seen from here, and the times that are written into requests. Pure.

OKX refuses a request whose timestamp is more than 30 seconds off, and judges `expTime` by its own
clock. Each answer of `/public/time` is one sample; the one with the shortest way is believed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_SAMPLES = 8
NOTICED_MS = 1_000
"""An offset beyond this is told to a person; smaller ones are corrected in silence."""
REFUSED_MS = 30_000
"""The venue refuses a timestamp that is further off."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the venue's clock, in milliseconds."""

    requested_ms: int
    """By our wall clock, just before the request left."""
    reported_ms: int
    """By the venue's clock."""
    took_ms: int
    """Until the answer was there, by a clock that never goes back."""

    @property
    def offset_ms(self) -> int:
        """Return the venue's time less ours."""
        return self.reported_ms - self.requested_ms - self.took_ms // 2

    @property
    def error_ms(self) -> int:
        """Return by how much the offset may be wrong: the way, and three times cut to whole ms."""
        return -(-self.took_ms // 2) + 2


class VenueClock:
    """The venue's time, from ours and the best of the last samples."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._best: Sample | None = None

    @property
    def known(self) -> bool:
        """Return whether the venue's clock was ever read."""
        return self._best is not None

    @property
    def offset_ms(self) -> int:
        """Return the venue's time less ours; 0 until it is known."""
        return self._best.offset_ms if self._best is not None else 0

    @property
    def error_ms(self) -> int:
        """Return by how much the offset may be wrong; 0 until it is known."""
        return self._best.error_ms if self._best is not None else 0

    @property
    def off(self) -> bool:
        """Return whether a person should be told."""
        return abs(self.offset_ms) > NOTICED_MS + self.error_ms

    def learn(self, sample: Sample) -> int:
        """Take a sample. Return by how much the offset changed, milliseconds."""
        before = self.offset_ms
        if self._best is not None and _disagree(self._best, sample):
            # One of the clocks was set: what was known before says nothing any more.
            self._samples.clear()
        self._samples.append(sample)
        self._best = min(self._samples, key=lambda one: one.took_ms)
        return self.offset_ms - before

    def forget(self) -> None:
        """Drop all samples, since the venue has refused a timestamp made of them."""
        self._samples.clear()
        self._best = None

    def at(self, our_ms: int) -> int:
        """Return the venue's time at an instant of our clock."""
        return our_ms + self.offset_ms

    def no_later(self, our_ms: int) -> int:
        """Return an instant of the venue's clock that is surely not after one of ours."""
        return our_ms + self.offset_ms - self.error_ms


def _disagree(one: Sample, other: Sample) -> bool:
    return abs(one.offset_ms - other.offset_ms) > one.error_ms + other.error_ms + NOTICED_MS


def timestamp(venue_ms: int) -> str:
    """Return the text of OK-ACCESS-TIMESTAMP: ISO 8601 in UTC with milliseconds."""
    at = _EPOCH + timedelta(milliseconds=venue_ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{venue_ms % 1000:03}Z"
