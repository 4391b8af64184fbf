"""insiders-api in memory: what `paper.insiders` does, on its own core, without its store.

It keeps its own account of every order, wallet and request; that account is what a seed is judged
by. What is due later (matching, settlement) is done when somebody asks the next time: nobody can
see the difference. Amounts in micros, instants in milliseconds.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from launcher.core import evidence as facts
from paper.insiders.core.admission import (
    Capabilities,
    KeyUse,
    check_funds,
    check_key,
    check_market,
    check_time,
)
from paper.insiders.core.matching import match, movement, reservation
from paper.insiders.core.model import (
    Fill,
    MarketBook,
    Order,
    OrderRequest,
    Rejection,
    Settlement,
    Side,
    Trade,
)
from paper.insiders.core.requests import parse_order
from paper.insiders.core.settlement import Step, next_step
from paper.insiders.wire import (
    Answer,
    refuse,
    show_capabilities,
    show_error,
    show_order,
    show_voided_order,
)
from tests.simulation.account import as_fact
from tests.simulation.wallets import Wallets


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """The fate of an order, should it be accepted."""

    match_ms: int = 0
    """It is matched so much later."""
    settlement: Settlement = "normal"


class Exchange:
    """The far side.

    Args:
        capabilities: A to D.
        lags: shares can be sold only when the trade that bought them has settled; otherwise at
            once, and then no buy fails after its match.
        cash_micros: what each wallet begins with.
        longest_ms: of processing, as it promises.
        settle_ms: from a match to the end of its settlement.
        now_ms: its clock.
        book: of an asset, now; None: it has none.
        committed: whether the engine's database had committed a key and the hash of its body.
    """

    def __init__(
        self,
        *,
        capabilities: Capabilities,
        lags: bool,
        cash_micros: int,
        longest_ms: int,
        settle_ms: int,
        now_ms: Callable[[], int],
        book: Callable[[str], MarketBook | None],
        committed: Callable[[str, str], bool],
    ) -> None:
        self.capabilities = capabilities
        self.lags = lags
        self._longest_ms = longest_ms
        self._settle_ms = settle_ms
        self._now_ms = now_ms
        self._book = book
        self._committed = committed
        self._orders: list[Order] = []
        self._by_key: dict[str, int] = {}
        self._open: set[int] = set()
        self._due_ms = 0
        """Nothing is due before."""
        self._voided: set[str] = set()
        self._cash_micros = cash_micros
        self.wallets = Wallets(book, idempotency=capabilities.idempotency, cash_micros=cash_micros)
        self._posts: list[facts.GatewayPost] = []

    # What it is asked.

    def withdraw(self) -> None:
        """Say from now on that the same key may be another order."""
        self.capabilities = replace(self.capabilities, idempotency=False)

    def place(self, side: Side, key: str, body: bytes, plans: Plans, *, promised: bool) -> Answer:
        """POST an order; ``promised``: one key is one order for it, whatever is said by now."""
        digest = hashlib.sha256(body).hexdigest()
        self._posts.append(
            facts.GatewayPost(order_key=key, body_hash=digest, ledger=self._committed(key, digest))
        )
        try:
            order = self._place(side, key, body, plans, promised=promised)
            return Answer(payload=show_order(order))
        except Rejection as rejection:
            return refuse(rejection)

    def _place(self, side: Side, key: str, body: bytes, plans: Plans, *, promised: bool) -> Order:
        self._advance()
        digest = hashlib.sha256(body).hexdigest()
        first = self._known(key)
        replay = check_key(
            None if first is None else KeyUse(body_sha256=first.body_sha256, purpose=side),
            KeyUse(body_sha256=digest, purpose=side),
            voided=key in self._voided,
            idempotency=promised,
        )
        if replay and first is not None:
            return first
        request = parse_order(body, side, reads_not_after=self.capabilities.not_after)
        now_ms = self._now_ms()
        check_time(request, now_ms=now_ms)
        book = check_market(request, self._book(request.asset_id))
        needed = reservation(request, book)
        check_funds(request, needed=needed, available=self._available(request, None))
        order = Order(
            seq=len(self._orders),
            order_id=f"order-{len(self._orders)}",
            key=key,
            body_sha256=digest,
            request=request,
            status="ACCEPTED",
            accepted_ms=now_ms,
            match_due_ms=now_ms + plans.match_ms,
            reserved=needed,
            settlement=plans.settlement,
        )
        self._orders.append(order)
        self._by_key.setdefault(key, order.seq)
        self._open.add(order.seq)
        self._due_ms = 0
        self._advance()
        return self._orders[order.seq]

    def by_key(self, key: str) -> Answer:
        """GET what is known under a key."""
        self._advance()
        if not self.capabilities.get_by_key:
            return _unsupported()
        order = self._known(key)
        if order is not None:
            return Answer(payload=show_order(order))
        if key in self._voided:
            return Answer(payload=show_voided_order(key))
        return Answer(status=404, payload=show_error("ORDER_NOT_FOUND", "no order has this key"))

    def void(self, key: str) -> Answer:
        """Declare a key unusable unless it was used."""
        self._advance()
        if not self.capabilities.void:
            return _unsupported()
        order = self._known(key)
        if order is not None:
            error = show_error("KEY_USED", "the key was used by an accepted order")
            return Answer(status=409, payload={**error, "order": show_order(order)})
        self._voided.add(key)
        return Answer(payload={"idempotencyKey": key, "status": "VOIDED"})

    def promises(self) -> Answer:
        """GET the capabilities."""
        switches = show_capabilities(self.capabilities)
        return Answer(payload={**switches, "longestProcessingMs": self._longest_ms})

    def balance(self, proxy: str) -> Answer:
        """GET the cash of a wallet."""
        self._advance()
        return self.wallets.balance(proxy)

    def positions(self, proxy: str) -> Answer:
        """GET its shares."""
        self._advance()
        return self.wallets.positions(proxy)

    def sell_by_hand(self, proxy: str, asset: str, part: float) -> int:
        """The owner of a wallet sells a part of the shares that he can sell; returns how many."""
        self._advance()
        reserved = sum(
            order.reserved
            for order in (self._orders[seq] for seq in self._open)
            if order.status == "ACCEPTED"
            and (order.request.proxy, order.request.asset_id) == (proxy, asset)
            and order.request.side == "SELL"
        )
        size = int((self._settled(proxy, asset) - reserved) // 10_000 * part) * 10_000
        if size > 0:
            self.wallets.sell_by_hand(proxy, asset, size)
        return max(size, 0)

    def redeem(self, key: str, body: bytes) -> Answer:
        """POST a redemption."""
        self._advance()
        return self.wallets.redeem(key, body)

    # What becomes of orders.

    def _known(self, key: str) -> Order | None:
        seq = self._by_key.get(key)
        return None if seq is None else self._orders[seq]

    def _available(self, request: OrderRequest, own: int | None) -> int:
        proxy, asset, side = request.proxy, request.asset_id, request.side
        held = self.wallets.cash[proxy] if side == "BUY" else self._settled(proxy, asset)
        return held - sum(
            order.reserved
            for order in (self._orders[seq] for seq in self._open)
            if order.status == "ACCEPTED"
            and order.seq != own
            and (order.request.proxy, order.request.side) == (proxy, side)
            and (side == "BUY" or order.request.asset_id == asset)
        )

    def _settled(self, proxy: str, asset: str) -> int:
        """Shares that can be sold."""
        held = self.wallets.shares[proxy, asset]
        for order in (self._orders[seq] for seq in self._open) if self.lags else ():
            request = order.request
            if (request.proxy, request.asset_id, request.side) == (proxy, asset, "BUY"):
                held -= sum(t.fill.size for t in order.standing if t.status != "CONFIRMED")
        return held

    def _advance(self) -> None:
        """Do what is due."""
        now_ms = self._now_ms()
        if now_ms < self._due_ms:
            return
        for seq in sorted(self._open):
            order = self._orders[seq]
            if order.status == "ACCEPTED":
                if order.match_due_ms > now_ms:
                    continue
                order = self._match(order, now_ms)
            trades = tuple(self._settle(order, trade, now_ms) for trade in order.trades)
            self._orders[seq] = order = replace(order, trades=trades)
            if all(trade.status in ("CONFIRMED", "FAILED") for trade in order.trades):
                self._open.discard(seq)
        due = (self._next_ms(self._orders[seq]) for seq in self._open)
        self._due_ms = min(due, default=sys.maxsize)

    def _next_ms(self, order: Order) -> int:
        steps = (self._step_of(trade) for trade in order.trades)
        return min((step.due_ms for step in steps if step), default=order.match_due_ms)

    def _step_of(self, trade: Trade) -> Step | None:
        return next_step(
            status=trade.status, settlement=trade.settlement, matched_ms=trade.matched_ms,
            settle_ms=self._settle_ms,
        )  # fmt: skip

    def _match(self, order: Order, now_ms: int) -> Order:
        request = order.request
        book = self._book(request.asset_id)
        fills: tuple[Fill, ...] = ()
        if book is not None and book.payout is None:
            budget = max(0, self._available(request, order.seq))
            fills = match(request, book, {}, budget=budget).fills
        for fill in fills:
            self._move(request, *movement(request.side, fill))
        trades = tuple(
            Trade(
                trade_id=f"{order.order_id}-{number}", fill=fill, status="MATCHED",
                settlement=order.settlement, matched_ms=now_ms,
            )
            for number, fill in enumerate(fills)
        )  # fmt: skip
        return replace(order, status="MATCHED" if fills else "KILLED", trades=trades)

    def _settle(self, order: Order, trade: Trade, now_ms: int) -> Trade:
        while step := self._step_of(trade):
            if step.due_ms > now_ms:
                break
            trade = replace(trade, status=step.status)
            if step.status == "FAILED":
                cash, shares = movement(order.request.side, trade.fill)
                self._move(order.request, -cash, -shares)
        return trade

    def _move(self, request: OrderRequest, cash: int, shares: int) -> None:
        self.wallets.move(request.proxy, request.asset_id, cash, shares)

    # What it says afterwards.

    def account(self) -> facts.GatewayState:
        """Its own account of everything."""
        self._advance()
        wallets, redemptions = self.wallets.account()
        return facts.GatewayState(
            orders=tuple(as_fact(order) for order in self._orders),
            posts=tuple(self._posts),
            wallets=wallets,
            redemptions=redemptions,
            hand_trades=tuple(self.wallets.hand_trades),
            default_cash_micros=self._cash_micros,
            enforces_not_after=self.capabilities.not_after,
        )


def _unsupported() -> Answer:
    return Answer(status=501, payload=show_error("NOT_SUPPORTED", "this capability is off"))
