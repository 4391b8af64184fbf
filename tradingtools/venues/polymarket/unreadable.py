"""Answers of the venue that cannot be read: counted, told to people, and known to health checks.

A venue that renames a field refuses nothing: its answers come, and mean nothing any more. Before:
the decoders of this package. After: `tradingtools.runtime.health`.
"""

from __future__ import annotations

import structlog
from opentelemetry import metrics

from tradingtools import clock

_RETENTION_SECONDS = 600.0
"""What nobody has asked for again since then says nothing of the venue's present answers."""
_FRAMES_IN_A_ROW = 3
"""One garbled frame of a feed is no change of its format."""
_ROWS = metrics.get_meter("tradingtools.venue").create_counter(
    "venue.unreadable", description="Rows, answers and frames of the venue that cannot be read"
)
_log = structlog.get_logger("venue")


class Answers:
    """The answers of one process's venue, as far as they cannot be read."""

    def __init__(self) -> None:
        self._unreadable: dict[tuple[str, str], float] = {}
        """What was asked about whom, where most of the last answer was unreadable, and when."""
        self._partly: set[tuple[str, str]] = set()
        self._frames: dict[str, int] = {}

    def readable(self) -> bool:
        """Return whether most of each last answer could be read."""
        since = clock.monotonic() - _RETENTION_SECONDS
        self._unreadable = {key: at for key, at in self._unreadable.items() if at >= since}
        return not self._unreadable

    def note(
        self, what: str, about: str, *, read: int = 0, refused: int = 0, why: str = ""
    ) -> None:
        """Take note of one answer.

        Args:
            what: path of the answer.
            about: whom or what it was asked about; the next one about it takes this one's place.
            read: rows that could be read; of an answer without rows, 1.
            refused: rows that could not; of an answer that is none, 1.
            why: the first refusal.
        """
        key = (what, about)
        if not refused:
            self._partly.discard(key)
            if self._unreadable.pop(key, None) is not None:
                _log.info("answers can be read again", what=what, about=about)
            return
        _ROWS.add(refused, {"what": what})
        if key not in self._partly:
            self._partly.add(key)
            _log.error("the venue's answer cannot be read", alert=True, what=what, about=about,
                       read=read, refused=refused, why=why[:300])  # fmt: skip
        if refused > read:
            self._unreadable[key] = clock.monotonic()
        else:
            self._unreadable.pop(key, None)

    def frame(self, what: str, *, read: bool, why: str = "") -> None:
        """Take note of one frame of a feed, which counts as unreadable after three in a row."""
        if read:
            if self._frames.pop(what, 0) >= _FRAMES_IN_A_ROW:
                self.note(what, "", read=1)
            return
        self._frames[what] = self._frames.get(what, 0) + 1
        if self._frames[what] < _FRAMES_IN_A_ROW:
            _ROWS.add(1, {"what": what})
        else:
            self.note(what, "", refused=1, why=why)
