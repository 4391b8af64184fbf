"""Orders of one wallet at the CLOB: placed once, cancelled by hash, never amended.

Before: who owns the wallet, and has made durable what is to be sent. After: `order_transport`. No
request has a deadline at this venue: what was not answered may arrive as long as the order has not
expired, so its cancel may overtake it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from tradingtools import clock
from tradingtools.venues.polymarket import order_answers, order_requests
from tradingtools.venues.polymarket.account_rows import Facts
from tradingtools.venues.polymarket.engine_watch import EngineWatch
from tradingtools.venues.polymarket.order_answers import not_sent, refused_here, unknown
from tradingtools.venues.polymarket.order_index import (
    EARLIER_MS,
    TAKING,
    OrderError,
    OrderIndex,
    PreparedOrder,
    TradingWallet,
    prepare,
)
from tradingtools.venues.polymarket.order_limits import (
    CANCELS,
    ORDERS,
    POST_ONLY_MS,
    TokenBucket,
)
from tradingtools.venues.polymarket.order_requests import ClobRequest
from tradingtools.venues.polymarket.order_transport import NoAnswer, PrivateClob, SigningError
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    NewOrder,
    Receipt,
    RestingTime,
    TradingCapabilities,
)

SOONEST_EXPIRY_MS = 180_000 - EARLIER_MS
"""The venue takes no order that would end sooner."""
HORIZON_MS = 180_000
"""After an order's end: the venue's minute, clocks that differ, and what settles late."""
KNOWN_MS = 3_600_000
"""An order is recognised for so long after it could trade last: its trades may still fail."""

CAPABILITIES = TradingCapabilities(
    resting=True,
    amend=False,
    post_only=True,
    not_after=False,
    unique_order_id=True,
    order_id_known_before=True,
    found_for_ms=None,
    rests_for_ms=SOONEST_EXPIRY_MS + 60_000,
    taking_buys_spend=True,
    horizon_ms=HORIZON_MS,
)


class PolymarketGateway:
    """Sends the orders of one wallet.

    Args:
        clob: signs and sends requests.
        wallet: whose orders they are.
        api_key: the key's name, which owns the orders.
        facts: what is known of an asset; orders of others are refused.
        index: our orders by hash, shared with the account.
        engine: the matching engine, shared with the feed; None: the gateway's own.
    """

    def __init__(
        self,
        clob: PrivateClob,
        *,
        wallet: TradingWallet,
        api_key: str,
        facts: Facts,
        index: OrderIndex,
        engine: EngineWatch | None = None,
    ) -> None:
        self._clob = clob
        self._wallet = wallet
        self._api_key = api_key
        self._facts = facts
        self._index = index
        now_ms = clock.monotonic_ms()
        self._orders = TokenBucket.full(ORDERS, now_ms)
        self._cancels = TokenBucket.full(CANCELS, now_ms)
        self._engine = engine or EngineWatch()
        self._orders_out = asyncio.Semaphore(ORDERS.on_their_way)
        self._cancels_out = asyncio.Semaphore(CANCELS.on_their_way)
        self._one_batch = asyncio.Lock()

    @property
    def capabilities(self) -> TradingCapabilities:
        """Return what this venue can do."""
        return CAPABILITIES

    def free(self) -> float:
        """Return the part that is free of the fuller limit, of orders or of cancels."""
        now_ms = clock.monotonic_ms()
        return min(self._orders.free(now_ms), self._cancels.free(now_ms))

    def register_order(self, order: NewOrder) -> str:
        """Return an order's hash, and tell it by our id from now on; empty: it is never sent."""
        try:
            return self.prepare(order).venue_order_id
        except OrderError:
            return ""

    def prepare(self, order: NewOrder) -> PreparedOrder:
        """Return an order with its hash, and recognise it from now on; after a crash, too.

        Raises:
            OrderError: it cannot be an order of this venue.
        """
        facts = self._facts(order.instrument.symbol)
        if facts is None:
            raise OrderError("UNKNOWN_MARKET", "the instrument was not looked up")
        prepared = prepare(order, self._wallet, facts)
        now_ms = clock.now_ms()
        self._index.prune(now_ms)
        self._index.note(order.order_id, prepared.venue_order_id, _known_until(order, now_ms))
        return prepared

    async def place(self, order: NewOrder) -> Receipt:
        """Send an order, once."""
        try:
            prepared = self.prepare(order)
        except OrderError as error:
            return refused_here(error.code, str(error))
        async with self._orders_out:
            held = await self._hold_back(order)
            return held if held is not None else await self._sign_and_send(order, prepared)

    async def _sign_and_send(self, order: NewOrder, prepared: PreparedOrder) -> Receipt:
        try:
            signature = await self._clob.signer.sign_order(prepared.order, prepared.exchange)
        except SigningError as error:
            return not_sent("NOT_SIGNED", str(error))
        request = order_requests.place(
            prepared,
            signature,
            api_key=self._api_key,
            time_in_force=order.time_in_force,
            post_only=order.post_only,
        )
        receipt = await self._place(request, order, prepared.venue_order_id)
        self._learn(receipt)
        return receipt

    async def cancel(self, order: CancelOrder) -> Receipt:
        """Ask for the end of a resting order, by its hash; it may be repeated."""
        found = order.venue_order_id or self._index.venue_order_id(order.order_id)
        if not found:
            return refused_here("UNKNOWN_ORDER", "neither its hash nor the order is known")
        async with self._cancels_out:
            await self._wait_for_cancel(1)
            late = _too_late(order.not_after_ms)
            if late is not None:
                return late
            answer = await self._ask(order_requests.cancel(found))
        if isinstance(answer, Receipt):
            return answer
        receipt = order_answers.of_cancel(answer, found)
        self._learn_of_cancel(receipt)
        return receipt

    async def cancel_market(self, condition_id: str, asset_id: str = "") -> Receipt:
        """Ask for the end of every order in a market, strangers' of the wallet too."""
        return await self._mass_cancel(order_requests.cancel_market(condition_id, asset_id), 1)

    async def cancel_many(self, venue_order_ids: Sequence[str]) -> Receipt:
        """Ask for the end of several orders, at most `order_requests.MAX_CANCELS`."""
        if len(venue_order_ids) > order_requests.MAX_CANCELS:
            return refused_here("BATCH", f"more than {order_requests.MAX_CANCELS} at once")
        request = order_requests.cancel_many(venue_order_ids)
        return await self._mass_cancel(request, len(venue_order_ids))

    async def amend(self, change: AmendOrder) -> Receipt:
        """Refuse: the venue has no amends."""
        return refused_here("NO_AMEND", f"{change.instrument.venue} amends no orders")

    async def _mass_cancel(self, request: ClobRequest, cost: int) -> Receipt:
        async with AsyncExitStack() as stack:
            async with self._one_batch:  # two that hold a part each would wait for ever
                for _ in range(cost):
                    await stack.enter_async_context(self._cancels_out)
            await self._wait_for_cancel(cost)
            answer = await self._ask(request)
        if isinstance(answer, Receipt):
            return answer
        receipt = order_answers.of_mass_cancel(answer)
        self._learn_of_cancel(receipt)
        return receipt

    async def _place(self, request: ClobRequest, order: NewOrder, venue_order_id: str) -> Receipt:
        late = _too_late(order.not_after_ms)  # signing takes its time, too
        if late is not None:
            return late
        answer = await self._ask(request)
        if isinstance(answer, Receipt):
            return answer
        return order_answers.of_place(answer, venue_order_id)

    async def _ask(self, request: ClobRequest) -> order_answers.ClobAnswer | Receipt:
        try:
            answer = await self._clob.send(request)
        except SigningError as error:
            return not_sent("NOT_SIGNED", str(error))
        if not isinstance(answer, NoAnswer):
            return answer
        if answer.left:
            return unknown("NO_ANSWER", answer.detail)
        return not_sent("NOT_SENT", answer.detail)

    async def _hold_back(self, order: NewOrder) -> Receipt | None:
        """Wait for room; the receipt of an order that is not to be sent."""
        if order.expires_ms is not None and order.expires_ms - clock.now_ms() < SOONEST_EXPIRY_MS:
            return refused_here("BAD_EXPIRY", f"ends in less than {SOONEST_EXPIRY_MS} ms")
        rests = order.post_only and order.time_in_force not in TAKING
        wait_ms = self._engine.window.wait_ms(clock.monotonic_ms(), post_only=rests)
        if wait_ms:
            code = "POST_ONLY_MODE" if not rests else "ENGINE_RESTART"
            return not_sent(code, "the matching engine has restarted", wait_ms)
        while True:
            self._orders, wait_ms = self._orders.take(clock.monotonic_ms())
            if not wait_ms:
                break
            late = _too_late(order.not_after_ms - wait_ms)
            if late is not None:
                return late
            await asyncio.sleep(wait_ms / 1000)
        return _too_late(order.not_after_ms)

    async def _wait_for_cancel(self, cost: int) -> None:
        while True:
            self._cancels, wait_ms = self._cancels.take(clock.monotonic_ms(), cost)
            if not wait_ms:
                return
            await asyncio.sleep(wait_ms / 1000)

    def _learn(self, receipt: Receipt) -> None:
        """Keep back what the venue has said that it does not take for now."""
        now_ms = clock.monotonic_ms()
        wait_ms = receipt.retry_after_ms or 0
        if receipt.meaning is not Meaning.NOT_ACCEPTED:
            return
        if receipt.code == "ENGINE_RESTART":
            self._engine.learn(self._engine.window.restarting(now_ms, wait_ms))
        elif receipt.code == "POST_ONLY_MODE":
            wait_ms = min(wait_ms, POST_ONLY_MS)
            self._engine.learn(self._engine.window.post_only(now_ms, wait_ms))
        elif receipt.code == "RATE_LIMIT":
            self._orders = self._orders.shut(now_ms, wait_ms)

    def _learn_of_cancel(self, receipt: Receipt) -> None:
        now_ms = clock.monotonic_ms()
        if receipt.code == "RATE_LIMIT":
            self._cancels = self._cancels.shut(now_ms, receipt.retry_after_ms or 0)
        elif receipt.code == "ENGINE_RESTART":
            wait_ms = receipt.retry_after_ms or 0
            self._engine.learn(self._engine.window.restarting(now_ms, wait_ms))


def _known_until(order: NewOrder, now_ms: int) -> int | None:
    """Return until when something may be told of an order; None: there is no end."""
    if order.time_in_force is RestingTime.GTC:
        return None
    last_ms = order.not_after_ms if order.expires_ms is None else order.expires_ms
    return max(last_ms, now_ms) + KNOWN_MS


def _too_late(not_after_ms: int) -> Receipt | None:
    if clock.now_ms() < not_after_ms:
        return None
    return refused_here("TOO_LATE", "its deadline has passed")
