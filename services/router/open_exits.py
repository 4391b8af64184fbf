"""Judge exits again that have something left to sell, when they are due.

`bookings` reports what a slice has left, and the worker the first judgement of a sell. The worker
routes the sell once more.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import structlog

from services.router.core.router_state import RouterState, again_ms
from tradingtools import clock
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.tasks import cancel_all

_log = structlog.get_logger("router.exits")
_POLL_SECONDS = 0.25
_JUDGED_AT_ONCE = 50


class OpenExits:
    """Of one partition.

    Args:
        state: what the router knows.
        route: judges a leader trade for a cause.
    """

    def __init__(
        self, state: RouterState, route: Callable[[LeaderTrade, str], Awaitable[None]]
    ) -> None:
        self._state = state
        self._route = route
        self._vain: dict[TradeKey, int] = {}
        """How often in a row open ones were judged in vain."""

    def judge_in(self, key: TradeKey, wait_ms: int) -> None:
        """Have a sell judged again after so long, or sooner if that was asked for before: something
        was booked that it may have waited for."""
        self._vain.pop(key, None)
        self._put(key, wait_ms)

    def follow(self, key: TradeKey) -> None:
        """Have a sell judged again that could not be made, in case it may be later."""
        wait_ms = self._state.judge_exit_in_ms(key, clock.now_ms(), self._vain.get(key, 0))
        if wait_ms is not None:
            self._wait(key, wait_ms)

    def _wait(self, key: TradeKey, wait_ms: int) -> None:
        self._vain[key] = self._vain.get(key, 0) + 1
        self._put(key, wait_ms)

    def _put(self, key: TradeKey, wait_ms: int) -> None:
        due = clock.monotonic() + max(wait_ms, 0) / 1000
        self._state.open_exits[key] = min(due, self._state.open_exits.get(key, due))

    async def run(self) -> None:
        """Judge exits again that have something left to sell, for ever.

        Raises:
            Fenced: the partition is another's.
        """
        at_once = asyncio.Semaphore(_JUDGED_AT_ONCE)
        judging: dict[TradeKey, asyncio.Task[None]] = {}
        try:
            while True:
                for key in [k for k, task in judging.items() if task.done()]:
                    judging.pop(key).result()
                now, exits = clock.monotonic(), self._state.open_exits
                for key in [k for k, due in exits.items() if due <= now and k not in judging]:
                    # Open until it is judged: what is not open may be forgotten meanwhile.
                    exits[key] = math.inf
                    judging[key] = asyncio.create_task(self._judge_again(key, at_once))
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await cancel_all(judging.values())

    async def _judge_again(self, key: TradeKey, at_once: asyncio.Semaphore) -> None:
        # A book that cannot be had is waited for: that holds up no other exit.
        async with at_once:
            try:
                await self._route(self._state.trades[key], f"again-{clock.now_ns()}")
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - one exit must not hold up the others
                _log.error("an exit could not be judged; again later", alert=True,
                           asset=key.asset_id, leader_tx=key.leader_tx, exc_info=error)  # fmt: skip
                self._wait(key, again_ms(self._vain.get(key, 0)))
        if self._state.open_exits[key] == math.inf:
            del self._state.open_exits[key]
            self._vain.pop(key, None)
