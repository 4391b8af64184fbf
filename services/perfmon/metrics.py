"""Metrics of perfmon, with every series from the start."""

from __future__ import annotations

from services.perfmon.core.judge import Step
from tradingtools.domain.performance import Window
from tradingtools.runtime import instruments

_SCOPE = "tradingtools.perfmon"


class Level:
    """A number of things that there are now.

    Attributes:
        value: as it was reported last.
    """

    def __init__(self, name: str, description: str) -> None:
        self._exported = instruments.level(_SCOPE, name, description)
        self.value = 0

    def set(self, value: int) -> None:
        """Tell how many there are."""
        self._exported.add(value - self.value)
        self.value = value


acted = instruments.counter(
    _SCOPE, "performance_actions", "performance actions that were done, by rule",
    series=instruments.each(rule=[*map(str, Window), *map(str, Step)]),
)  # fmt: skip
followed_level = Level("performance_followed", "subscriptions with performance rules")
doubted = Level(
    "performance_in_doubt", "subscriptions of which something has had no good book for too long"
)
