"""Accepts orders, reads them by key, voids keys: the shell around the core's decisions.

Each deed is one transaction of the store, in which the key, the clock, the wallet and the memory
of taken liquidity are looked at again; only the book is fetched before it. The server calls this
for each request; what is due later is `clockwork`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from paper.insiders.books import Books
from paper.insiders.core.admission import (
    Capabilities,
    KeyUse,
    check_age,
    check_funds,
    check_key,
    check_market,
    check_time,
    check_wallet,
)
from paper.insiders.core.matching import reservation
from paper.insiders.core.model import (
    KeyedRequest,
    MarketBook,
    Order,
    OrderRequest,
    Rejection,
    Side,
)
from paper.insiders.core.requests import parse_order
from paper.insiders.filling import Rules, available, fill_order
from paper.insiders.store import Store
from paper.insiders.tables import journal, keys, orders, wallets


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided:
    """A key under which nothing was and nothing will be accepted."""

    key: str


class Exchange:
    """The paper venue and its wallets. `now_ms` is the wall clock in ms since the epoch."""

    def __init__(
        self,
        *,
        store: Store,
        books: Books,
        rules: Rules,
        capabilities: Capabilities,
        now_ms: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._books = books
        self.rules = rules
        self.capabilities = capabilities
        self._now_ms = now_ms
        self._changed = changed

    async def place(self, asking: KeyedRequest, side: Side) -> tuple[Order, bool]:
        """Accept an order and, without a delay, match it at once.

        Returns the order and whether it was there before. Raises Rejection. The body and the book
        are judged only after the key, so what is wrong with them is kept until then.
        """
        request: OrderRequest | Rejection
        book: MarketBook | Rejection | None = None
        try:
            request = parse_order(asking.body, side, reads_not_after=self.capabilities.not_after)
            book = await self._books.read(request.asset_id)
        except Rejection as rejection:
            request = rejection
        order, replay = await self._store.run(
            lambda db: self._accept(db, asking, side, request, book)
        )
        self._changed()
        return order, replay

    def _accept(
        self,
        db: sqlite3.Connection,
        asking: KeyedRequest,
        side: Side,
        request: OrderRequest | Rejection,
        book: MarketBook | Rejection | None,
    ) -> tuple[Order, bool]:
        first = orders.order_by_key(db, asking.key)
        replay = check_key(
            orders.order_key_use(first),
            KeyUse(body_sha256=asking.body_sha256, purpose=side),
            voided=keys.is_voided(db, asking.key),
            idempotency=self.capabilities.idempotency,
        )
        if first is not None and replay:
            journal.note_order(db, asking.journal_id, first.order_id, accepted=False)
            return first, True
        if isinstance(request, Rejection):
            raise request
        now_ms = self._now_ms()
        check_time(request, now_ms=now_ms)
        check_age(asking, now_ms=now_ms)
        cash, mode = wallets.wallet(db, request.proxy, default_cash=self.rules.default_cash)
        check_wallet(request, mode)
        if isinstance(book, Rejection):
            raise book
        market = check_market(request, book)
        needed = reservation(request, market)
        usable = available(db, request, self.rules, but_seq=None)
        if asking.balance_lag and side == "SELL":
            usable -= orders.fresh_shares(db, request.proxy, request.asset_id)
        check_funds(request, needed=needed, available=usable)
        wallets.put_wallet(db, request.proxy, cash=cash, mode=mode)
        order = orders.insert_order(
            db,
            request,
            key=asking.key,
            body_sha256=asking.body_sha256,
            accepted_ms=now_ms,
            match_due_ms=now_ms + self.rules.own_delay_ms + market.delay_ms,
            reserved=needed,
            settlement=asking.settlement,
        )
        journal.note_order(db, asking.journal_id, order.order_id, accepted=True)
        if order.match_due_ms <= now_ms:
            fill_order(db, order, market, self.rules, now_ms=now_ms)
        return orders.order_by_seq(db, order.seq), False

    async def by_key(self, key: str) -> Order | Voided | None:
        """Return what a key stands for now (capability C). Raises Rejection when C is off."""
        if not self.capabilities.get_by_key:
            raise Rejection(501, "NOT_SUPPORTED", "this capability is off")

        def read(db: sqlite3.Connection) -> Order | Voided | None:
            order = orders.order_by_key(db, key)
            if order is None and keys.is_voided(db, key):
                return Voided(key=key)
            return order

        return await self._store.run(read)

    async def void(self, key: str) -> Order | Voided:
        """Void an unused key or tell the order that used it (D); raises Rejection when D is off."""
        if not self.capabilities.void:
            raise Rejection(501, "NOT_SUPPORTED", "this capability is off")

        def decide(db: sqlite3.Connection) -> Order | Voided:
            order = orders.order_by_key(db, key)
            if order is not None:
                return order
            keys.insert_void(db, key, now_ms=self._now_ms())
            return Voided(key=key)

        return await self._store.run(decide)

    async def cash(self, proxy: str) -> int:
        """Cash in micros."""
        cash, _ = await self._store.run(
            lambda db: wallets.wallet(db, proxy, default_cash=self.rules.default_cash)
        )
        return cash

    async def positions(self, proxy: str) -> list[tuple[str, str, int]]:
        """(asset id, condition id, micros of shares) of each position."""
        return await self._store.run(lambda db: wallets.positions(db, proxy))
