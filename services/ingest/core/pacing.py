"""Decide when to try again. Pure: time and randomness are arguments."""

from __future__ import annotations

_BASE_SECONDS = 0.1
_MAX_SECONDS = 5.0


def backoff_seconds(failures: int, jitter: float) -> float:
    """Return the pause before the next connection.

    Args:
        failures: connections in a row that brought no data; after a good one there is no pause.
        jitter: 0 to 1, spreads the attempts of several sockets.
    """
    if failures <= 0:
        return 0.0
    doubled = _BASE_SECONDS * float(1 << min(failures - 1, 10))
    return min(doubled, _MAX_SECONDS) * (0.5 + jitter / 2)


class Agenda:
    """The times at which leaders are caught up.

    Args:
        poll_s: each at least this often.
        recheck_s: after a gap, looked at once more so much later.
    """

    def __init__(self, *, poll_s: float, recheck_s: float) -> None:
        self._poll_s = poll_s
        self._recheck_s = recheck_s
        self._due: dict[str, float] = {}
        self._recheck: dict[str, float] = {}

    def __contains__(self, leader: str) -> bool:
        """Return whether the leader is caught up at all."""
        return leader in self._due

    def add(self, leader: str, now_s: float) -> None:
        """Begin with a leader: at once, and once more after the recheck time."""
        self._due[leader] = now_s
        self._recheck[leader] = now_s + self._recheck_s

    def drop(self, leader: str) -> None:
        """Stop with a leader."""
        self._due.pop(leader, None)
        self._recheck.pop(leader, None)

    def gap(self, now_s: float) -> None:
        """Make all leaders due, now and after the recheck time: something may be missing."""
        for leader in self._due:
            self.add(leader, now_s)

    def take(self, now_s: float) -> list[str]:
        """Return leaders that are due; each is due again at the poll time or at its recheck."""
        due = [leader for leader, at in self._due.items() if at <= now_s]
        for leader in due:
            self._due[leader] = min(now_s + self._poll_s, self._recheck.pop(leader, float("inf")))
            if self._due[leader] <= now_s:
                self._due[leader] = now_s + self._poll_s
        return due

    def retry(self, leader: str, now_s: float, wait_s: float) -> None:
        """Make a leader due again after a while: it did not work. The planned look still comes."""
        planned = self._due.get(leader)
        if planned is None:
            return
        self._due[leader] = min(planned, now_s + wait_s)
        self._recheck[leader] = min(self._recheck.get(leader, planned), planned)

    def next_s(self, now_s: float) -> float:
        """Return seconds until something is due, at most the poll time."""
        nearest = min(self._due.values(), default=now_s + self._poll_s)
        return max(nearest - now_s, 0.0)
