"""Bound guesses of passwords without locking anybody out. The time is an argument.

Three counts of failures: of a name from a network, of a network, and of a name from networks that
its user has never logged in from. Who guesses from elsewhere spends the third one; the user at his
usual place is not counted there.
"""

from __future__ import annotations

from tradingtools.domain.attempts import Attempts

WINDOW_S = 600.0
MOST_OF_BOTH = 5
"""Of one name from one network."""
MAX_OF_NETWORK = 30
MAX_OF_NAME = 50
"""Of one name, from networks that its user has not logged in from."""


class Throttle:
    """Counts an attempt as failed until it is known better, so that many at once gain nothing."""

    def __init__(self) -> None:
        self._both = Attempts(MOST_OF_BOTH, WINDOW_S)
        self._network = Attempts(MAX_OF_NETWORK, WINDOW_S)
        self._name = Attempts(MAX_OF_NAME, WINDOW_S)

    def begin(self, name: str, network: str, *, usual: bool, now_s: float) -> float:
        """Count an attempt.

        Args:
            name: that is tried.
            network: where it is tried from.
            usual: its user has logged in from there.
            now_s: of a clock that never goes back.

        Returns:
            After how many seconds he may try; 0: now.
        """
        counted: list[tuple[Attempts, str]] = []
        for attempts, key in self._of(name, network, usual=usual):
            wait = attempts.begin(key, now_s)
            if wait:
                for one, its in counted:
                    one.forget(its)
                return wait
            counted.append((attempts, key))
        return 0.0

    def forget(self, name: str, network: str, *, usual: bool) -> None:
        """Take back what ``begin`` has counted: it did not fail."""
        for attempts, key in self._of(name, network, usual=usual):
            attempts.forget(key)

    def _of(self, name: str, network: str, *, usual: bool) -> list[tuple[Attempts, str]]:
        found = [(self._both, f"{name} {network}"), (self._network, network)]
        return found if usual else [*found, (self._name, name)]
