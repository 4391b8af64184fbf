"""Check again whether an order admitted earlier may still be sent.

`pre_send_check` asks here when an order has waited since its SUBMITTING commit: behind another
entry of its wallet, for a connection, for the breaker, or after it was provably not accepted.
Orders that ask while a query runs are checked together by the next one. Exits never wait for a
query about entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tradingtools.domain.order import Order, Purpose

RecheckRequest = tuple[Order, int]
"""An order and the epoch at which it is SUBMITTING."""
RecheckResult = tuple[str, int]
"""Why it may not be sent, empty: it may; and after which instant that was found out,
`monotonic_ns`."""
RecheckQuery = Callable[[Sequence[RecheckRequest]], Awaitable[tuple[Mapping[str, str], int]]]
"""Answers by order key: why it may not be sent; absent: it may. And when the query began,
`monotonic_ns`."""


class GateRecheck:
    """Checks many orders with one statement.

    Args:
        query: the query.
    """

    def __init__(self, query: RecheckQuery) -> None:
        self._exits, self._entries = _Batcher(query), _Batcher(query)

    async def check(self, order: Order, epoch: int) -> RecheckResult:
        """Return whether an order may still be sent, and when that was found out.

        Raises:
            psycopg.OperationalError: nobody can tell now.
        """
        batcher = self._entries if order.purpose is Purpose.ENTRY else self._exits
        return await batcher.check(order, epoch)


class _Batcher:
    """Batches checks: one query after the other."""

    def __init__(self, query: RecheckQuery) -> None:
        self._query = query
        self._waiting: list[tuple[RecheckRequest, asyncio.Future[RecheckResult]]] = []
        self._running: asyncio.Task[None] | None = None

    async def check(self, order: Order, epoch: int) -> RecheckResult:
        answer: asyncio.Future[RecheckResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(((order, epoch), answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            some, self._waiting = [one for one in self._waiting if not one[1].done()], []
            try:
                found, requested_ns = await self._query([order for order, _ in some])
            except Exception as error:  # noqa: BLE001 - raised to each caller
                for _, answer in some:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (order, _), answer in some:
                if not answer.done():
                    answer.set_result((found.get(order.order_key, ""), requested_ns))
