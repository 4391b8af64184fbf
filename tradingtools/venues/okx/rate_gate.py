"""Waits for room within OKX's limits: those of a wallet's user, and those of our address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tradingtools import clock
from tradingtools.venues.okx.limits import Charge, RateLimits


class RateGate:
    """The limits of one user or of one address: REST and sockets pass the same gate."""

    def __init__(self) -> None:
        self._limits = RateLimits()
        self._ended = asyncio.Event()

    def free(self) -> float:
        """Return the part that is free of the fullest limit of orders."""
        return self._limits.free(clock.monotonic_ms())

    @asynccontextmanager
    async def passing(
        self, charges: Sequence[Charge], not_after_ms: int | None = None
    ) -> AsyncIterator[bool]:
        """Wait until a request may begin, and count it for the length of the block.

        Args:
            charges: what it counts for.
            not_after_ms: by our wall clock; None: it may wait for ever.

        Yields:
            False: it may not begin before its deadline, and is not counted.

        Raises:
            ValueError: it counts for more than is ever allowed.
        """
        if not await self._begin(charges, not_after_ms):
            yield False
            return
        try:
            yield True
        finally:
            self._limits.end(charges, clock.monotonic_ms())
            self._ended.set()

    async def _begin(self, charges: Sequence[Charge], not_after_ms: int | None) -> bool:
        while True:
            wait_ms = self._limits.wait_ms(charges, clock.monotonic_ms())
            left_ms = None if not_after_ms is None else not_after_ms - clock.now_ms()
            if left_ms is not None and left_ms <= (wait_ms or 0):
                return False
            if wait_ms == 0:
                self._limits.begin(charges)
                return True
            await self._sleep(wait_ms, left_ms)

    async def _sleep(self, wait_ms: int | None, left_ms: int | None) -> None:
        bounds = [one for one in (wait_ms, left_ms) if one is not None]
        self._ended.clear()
        try:
            async with asyncio.timeout(min(bounds) / 1000 if bounds else None):
                await self._ended.wait()
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class RateGates:
    """The gates of one wallet."""

    user: RateGate = field(default_factory=RateGate)
    address: RateGate = field(default_factory=RateGate)
    """For what everybody may ask, and for connections: all wallets of a process share it."""
