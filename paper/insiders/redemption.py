"""Turns the shares of a resolved condition into cash, once a key.

Beside the exchange: same store, same books, same order of checks, but no matching.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from paper.insiders.books import Books
from paper.insiders.core.admission import KeyUse, check_age, check_key
from paper.insiders.core.amounts import ONE
from paper.insiders.core.model import KeyedRequest, MarketBook, RedeemRequest, Redemption, Rejection
from paper.insiders.core.requests import parse_redeem
from paper.insiders.store import Store
from paper.insiders.tables import keys, wallets


class Redeemer:
    """Redeems; `now_ms` is the wall clock in ms since the epoch."""

    def __init__(self, *, store: Store, books: Books, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._books = books
        self._now_ms = now_ms

    async def redeem(self, asking: KeyedRequest, *, idempotency: bool) -> tuple[Redemption, bool]:
        """Pay out a resolved condition. Returns it and whether it was done before.

        Raises Rejection. As with orders, the key is judged before the body.
        """
        request: RedeemRequest | Rejection
        books: dict[str, MarketBook | Rejection | None] = {}
        try:
            request = parse_redeem(asking.body)
            proxy = request.proxy
            for asset_id, condition_id, _ in await self._store.run(
                lambda db: wallets.positions(db, proxy)
            ):
                if condition_id == request.condition_id:
                    books[asset_id] = await self._books.read(asset_id)
        except Rejection as rejection:
            request = rejection
        return await self._store.run(
            lambda db: self._redeem(db, asking, request, books, idempotency=idempotency)
        )

    def _redeem(
        self,
        db: sqlite3.Connection,
        asking: KeyedRequest,
        request: RedeemRequest | Rejection,
        books: dict[str, MarketBook | Rejection | None],
        *,
        idempotency: bool,
    ) -> tuple[Redemption, bool]:
        first = keys.redemption_by_key(db, asking.key)
        replay = check_key(
            None if first is None else KeyUse(body_sha256=first.body_sha256, purpose="REDEEM"),
            KeyUse(body_sha256=asking.body_sha256, purpose="REDEEM"),
            voided=False,
            idempotency=idempotency,
        )
        if first is not None and replay:
            return first, True
        if isinstance(request, Rejection):
            raise request
        now_ms = self._now_ms()
        check_age(asking, now_ms=now_ms)
        done = Redemption(
            key=asking.key,
            body_sha256=asking.body_sha256,
            proxy=request.proxy,
            condition_id=request.condition_id,
            payout=_pay_out(db, request, books),
        )
        wallets.move_cash(db, done.proxy, done.payout)
        keys.insert_redemption(db, done, now_ms=now_ms)
        return done, False


def _pay_out(
    db: sqlite3.Connection,
    request: RedeemRequest,
    books: dict[str, MarketBook | Rejection | None],
) -> int:
    """Take the shares of the condition; what they pay, in micros, each position rounded down."""
    held = [
        (asset_id, size)
        for asset_id, condition_id, size in wallets.positions(db, request.proxy)
        if condition_id == request.condition_id and size > 0
    ]
    if not held:
        raise Rejection(400, "NOTHING_TO_REDEEM", "the wallet holds no shares of this condition")
    payout = 0
    for asset_id, size in held:
        book = books.get(asset_id)
        if isinstance(book, Rejection):
            raise book
        if book is None or book.payout is None:
            raise Rejection(400, "MARKET_NOT_RESOLVED", "the market has no payout yet")
        payout += size * book.payout // ONE
        wallets.move_shares(db, request.proxy, asset_id, request.condition_id, -size)
    return payout
