"""The lateness of an engine's event loop, which all its bots share."""

from __future__ import annotations

import asyncio

from services.bots import metrics
from tradingtools import clock

EVERY_SECONDS = 0.1


class LoopLag:
    """Sleeps, and looks how much later it is woken than it asked for."""

    def __init__(self) -> None:
        self._worst_ns = 0

    async def watch(self) -> None:
        """Measure for ever."""
        while True:
            requested = clock.monotonic_ns()
            await asyncio.sleep(EVERY_SECONDS)
            late = max(clock.monotonic_ns() - requested - int(EVERY_SECONDS * 1e9), 0)
            metrics.LAG.observe_ns(late)
            self._worst_ns = max(self._worst_ns, late)

    def worst_ms(self) -> int:
        """Return the worst since the last call, in milliseconds."""
        worst, self._worst_ns = self._worst_ns, 0
        return worst // 1_000_000
