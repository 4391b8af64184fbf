"""The matching engine as it is known: the gateway learns by refusals, feeds tell it to bots.

Polymarket announces no restart. A refusal with 425 says that the engine is down, and after it two
minutes pass in which it takes post-only orders alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tradingtools import clock
from tradingtools.domain.instrument import TradingPhase
from tradingtools.venues.polymarket.order_limits import EngineWindow


class EngineWatch:
    """One matching engine."""

    def __init__(self) -> None:
        self._window = EngineWindow()
        self._watching: set[asyncio.Event] = set()

    @property
    def window(self) -> EngineWindow:
        """Return its state, as far as it was told."""
        return self._window

    def learn(self, window: EngineWindow) -> None:
        """Take a new state."""
        self._window = window
        for changed in self._watching:
            changed.set()

    async def phases(self) -> AsyncIterator[TradingPhase]:
        """Yield the phase of now, then each that differs from the one before, for ever.

        Also if it is OPEN: whoever watched before may have heard of no end of a restart.
        """
        reported: TradingPhase | None = None
        changed = asyncio.Event()
        self._watching.add(changed)
        try:
            while True:
                changed.clear()
                phase, left_ms = self._window.phase(clock.monotonic_ms())
                if phase is not reported:
                    reported = phase
                    yield phase
                    continue
                try:
                    async with asyncio.timeout(None if left_ms is None else left_ms / 1000):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            self._watching.discard(changed)
