"""Back off from what fails again and again. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Backoff:
    """Failures by key, and until when each is left alone: not at all the first time, then
    for ever longer.

    Args:
        step_ms: the second time; then three times as long, seven times, and so on.
        longest_ms: never longer. Who has not failed for so long fails for the first time.
    """

    def __init__(self, step_ms: int, longest_ms: int) -> None:
        self._step_ms = step_ms
        self._longest_ms = longest_ms
        self._failed: dict[str, tuple[int, int]] = {}
        """How often in a row, and until when each is left alone."""

    def failed(self, names: Iterable[str], now_ms: int) -> None:
        """Note that they have failed, once more or for the first time.

        Args:
            names: of those.
            now_ms: monotonic milliseconds.
        """
        since_ms = now_ms - self._longest_ms
        self._failed = {n: found for n, found in self._failed.items() if found[1] > since_ms}
        for name in names:
            times, _ = self._failed.get(name, (0, 0))
            pause_ms = self._step_ms * ((1 << min(times, 30)) - 1)
            self._failed[name] = times + 1, now_ms + min(pause_ms, self._longest_ms)

    def succeeded(self, names: Iterable[str]) -> None:
        """Note that they have not failed: the next failure is the first one."""
        for name in names:
            self._failed.pop(name, None)

    def rests(self, name: str, now_ms: int) -> bool:
        """Return whether one is left alone as yet."""
        _, until_ms = self._failed.get(name, (0, now_ms))
        return until_ms > now_ms
