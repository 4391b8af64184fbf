"""Does what is due later: delayed matches and the steps of settlement.

It sleeps until the store's earliest due instant or until the exchange says that something
changed; what was pending when the process died is simply due when it starts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from functools import partial

from paper.insiders.books import Books
from paper.insiders.core.model import MarketBook, Order, Rejection
from paper.insiders.filling import Rules, fill_order, settle_due
from paper.insiders.store import Store
from paper.insiders.tables import orders

_RETRY_S = 0.1
"""Pause before a match is tried again whose book could not be read."""


class Scheduler:
    """Runs for ever; `wake` when something new may be due."""

    def __init__(
        self, *, store: Store, books: Books, rules: Rules, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._books = books
        self._rules = rules
        self._now_ms = now_ms
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look again at what is due next."""
        self._changed.set()

    async def run(self) -> None:
        """Match and settle what is due, sleep, again."""
        while True:
            self._changed.clear()
            left = await self._match_due()
            await self._store.run(lambda db: settle_due(db, self._rules, now_ms=self._now_ms()))
            due_ms = await self._store.run(orders.next_due_ms)
            if due_ms is None:
                await self._changed.wait()
                continue
            pause_s = max((due_ms - self._now_ms()) / 1000, _RETRY_S if left else 0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause_s)

    async def _match_due(self) -> bool:
        """Match the orders whose delay is over; True when one must be tried again soon."""
        left = False
        now_ms = self._now_ms()
        for order in await self._store.run(lambda db: orders.waiting_orders(db, until_ms=now_ms)):
            book = await self._books.read(order.request.asset_id)
            left |= await self._store.run(partial(self._match, order=order, book=book))
        return left

    def _match(
        self, db: sqlite3.Connection, order: Order, book: MarketBook | Rejection | None
    ) -> bool:
        now_ms = self._now_ms()
        if isinstance(book, Rejection) and now_ms < order.match_due_ms + self._rules.longest_ms:
            return True
        if book is None or isinstance(book, Rejection) or book.closed or book.payout is not None:
            orders.set_order_status(db, order.seq, "KILLED")
        else:
            fill_order(db, order, book, self._rules, now_ms=now_ms)
        return False
