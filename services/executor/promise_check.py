"""Ask whether one key is still one order, before anything is sent again.

`resender` asks before it commits another attempt, `pre_send_check` directly before its first byte.
No clock of another process is compared: what counts is how long ago this process asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.executor.core.promise import Promise, judge
from tradingtools import clock
from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown

ASK_MS = 1_000
"""An answer that takes longer is none, and allows nothing that leaves later."""
_FRESH_NS = 200_000_000
"""So long an answer holds, while what goes by it gets a connection."""


@dataclass(frozen=True, slots=True)
class ReportedPromise:
    """An answer, and until when it allows a first byte, `monotonic_ns`."""

    capabilities: Capabilities | CapabilitiesUnknown
    until_ns: int

    def judge(self, *, by_settings: bool) -> Promise:
        """Return whether one key is one order, see `core.promise.judge`."""
        return judge(self.capabilities, by_settings=by_settings)


class PromiseCheck:
    """Queries insiders-api, one question after the other.

    Args:
        fetch: returns what it promises, within `ASK_MS`.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Capabilities | CapabilitiesUnknown]]) -> None:
        self._fetch = fetch
        self._fetching: asyncio.Task[ReportedPromise] | None = None
        self._next: asyncio.Task[ReportedPromise] | None = None

    async def now(self) -> ReportedPromise:
        """Return the answer to a question that is sent from now on.

        A call while one is under way gets the next one's answer, together with others.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._fetch_after(self._fetching))
        return await asyncio.shield(self._next)

    async def _fetch_after(self, before: asyncio.Task[ReportedPromise] | None) -> ReportedPromise:
        if before is not None:
            await asyncio.wait([before])
        self._fetching, self._next = self._next, None
        requested_ns = clock.monotonic_ns()
        capabilities = await self._fetch()
        return ReportedPromise(
            capabilities, min(clock.monotonic_ns() + _FRESH_NS, requested_ns + ASK_MS * 1_000_000)
        )
