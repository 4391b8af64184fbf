"""Decide once more about entries that were refused unsent because their subscription had changed.

`bookings` reports such an entry. The worker then judges its leader trade for that subscription
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from services.router import store
from services.router.core.records import StaleEntry, without_stale_entry
from services.router.core.router_state import RouterState
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("router.withdrawals")
_POLL_SECONDS = 0.25


class Reevaluator:
    """Of one partition.

    Args:
        pool: of the deciding database.
        partition: whose.
        state: what the router knows.
        restore: takes over what is durable of a leader trade that is forgotten.
        decide: judges a leader trade for the subscription of an entry.
    """

    def __init__(
        self,
        pool: Pool,
        partition: int,
        state: RouterState,
        restore: Callable[[TradeKey], Awaitable[None]],
        decide: Callable[[LeaderTrade, StaleEntry], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._partition = partition
        self._state = state
        self._restore = restore
        self._decide = decide
        self._waiting: dict[str, StaleEntry] = {}
        """By order key. A leader trade whose fan-out was not claimed to its end is not known before
        it is reported again, which may be after this was."""

    async def recover(self) -> None:
        """Find those that nobody decided again before a process died; memory is rebuilt."""
        for order in await store.recent_stale_entries(self._pool, self._partition):
            copy = self._state.copies.get(order.key, {}).get(order.subscription_id)
            if copy is not None and without_stale_entry(copy, order, copy.frozen) is not None:
                self._waiting[order.order_key] = order

    async def reevaluate(self, order_key: str) -> None:
        """Decide an entry again that has ended; one of a resync was to be made as it was shown."""
        order = await store.stale_entry(self._pool, order_key)
        if order is None or not order.key.leader_tx:
            return
        if self._state.index.subscription(order.subscription_id) is None:
            return
        with self._state.using([order.key]):
            if self._state.trade(order.key) is None:
                await self._restore(order.key)
            self._waiting[order_key] = order
            await self._again(order)

    async def run(self) -> None:
        """Decide those again whose leader trades have become known, for ever.

        Raises:
            Fenced: the partition is another's.
        """
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self.poll()

    async def poll(self) -> None:
        """Decide once about those whose leader trades have become known."""
        for order in list(self._waiting.values()):
            if self._state.ledger.is_open(order.order_key):
                # Its reservation would count twice; its end is about to be reported.
                continue
            try:
                await self._again(order)
            except Fenced:
                raise
            except psycopg.OperationalError as error:
                _log.warning("not decided again yet", error=str(error).strip())
            except Exception as error:  # noqa: BLE001 - one of them must not stop all copying
                _log.error("an entry cannot be decided again", alert=True, order=order.order_key,
                           exc_info=error)  # fmt: skip
                self._waiting.pop(order.order_key, None)

    async def _again(self, order: StaleEntry) -> None:
        trade = self._state.trade(order.key)
        if trade is not None:
            await self._decide(trade, order)
            self._waiting.pop(order.order_key, None)
