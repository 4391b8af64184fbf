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
from tradingtools.venues.ports import Capabilities, NotTold

ASK_MS = 1_000
"""An answer that takes longer is none, and allows nothing that leaves later."""
_FRESH_NS = 200_000_000
"""So long an answer holds, while what goes by it gets a connection."""


@dataclass(frozen=True, slots=True)
class ToldPromise:
    """An answer, and until when it allows a first byte, `monotonic_ns`."""

    told: Capabilities | NotTold
    until_ns: int

    def judge(self, *, by_settings: bool) -> Promise:
        """Return whether one key is one order, see `core.promise.judge`."""
        return judge(self.told, by_settings=by_settings)


class PromiseCheck:
    """Asks insiders-api, one question after the other.

    Args:
        ask: returns what it promises, within `ASK_MS`.
    """

    def __init__(self, ask: Callable[[], Awaitable[Capabilities | NotTold]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[ToldPromise] | None = None
        self._next: asyncio.Task[ToldPromise] | None = None

    async def now(self) -> ToldPromise:
        """Return the answer to a question that is sent from now on.

        Who comes while one is under way is told by the next one, together with others.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._asking))
        return await asyncio.shield(self._next)

    async def _ask_after(self, before: asyncio.Task[ToldPromise] | None) -> ToldPromise:
        if before is not None:
            await asyncio.wait([before])
        self._asking, self._next = self._next, None
        asked_ns = clock.monotonic_ns()
        told = await self._ask()
        return ToldPromise(
            told, min(clock.monotonic_ns() + _FRESH_NS, asked_ns + ASK_MS * 1_000_000)
        )
