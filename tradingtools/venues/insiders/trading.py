"""The port of bots on insiders-api: orders that take at once, known by our key, read by it.

Nothing rests there and nothing is cancelled; an order of another kind is refused before a byte
leaves. A key is one order for ever, so what was not answered is resolved by reading it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from tradingtools import clock
from tradingtools.domain import ids
from tradingtools.domain.money import MICROS
from tradingtools.domain.order import Follower, TimeInForce
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade
from tradingtools.venues.insiders.order_body import order_body
from tradingtools.venues.insiders.order_gateway import (
    Answer,
    InsidersClient,
    NotSent,
    Unanswered,
)
from tradingtools.venues.insiders.schemas import WireError, parse_error, parse_order
from tradingtools.venues.insiders.verdicts import classify
from tradingtools.venues.insiders.wallets import parse_balance, parse_positions
from tradingtools.venues.ports import Capabilities, Meaning
from tradingtools.venues.trading import (
    AccountEvent,
    AccountPosition,
    AccountState,
    AmendOrder,
    Balance,
    CancelOrder,
    Connected,
    Fill,
    FundingPayment,
    NewOrder,
    OrderReport,
    OrderStatus,
    ReadError,
    Receipt,
    RestingTime,
    TradingCapabilities,
)

VENUE = "insiders"
POLL_SECONDS = 0.5
"""How often orders that are not closed are read: nothing is told by itself."""
_TIMES = {RestingTime.IOC: TimeInForce.FAK, RestingTime.FOK: TimeInForce.FOK}


def _refused(code: str, detail: str) -> Receipt:
    return Receipt(meaning=Meaning.REJECTED, code=code, detail=detail)


def _key(order_id: str) -> str:
    return ids.order_key(order_id, 0)


class InsidersGateway:
    """Sends the orders of one wallet.

    Args:
        client: of insiders-api.
        follower: whose wallet it is.
        promised: what this insiders-api promises.
        timeout_ms: for an answer.
    """

    def __init__(
        self,
        client: InsidersClient,
        follower: Follower,
        promised: Capabilities,
        *,
        timeout_ms: int = 10_000,
    ) -> None:
        self._client = client
        self._follower = follower
        self._promised = promised
        self._timeout_ms = timeout_ms
        self.sent: dict[str, NewOrder] = {}
        """Orders that are recognised, by our id."""

    @property
    def capabilities(self) -> TradingCapabilities:
        """Return what this venue can do."""
        return TradingCapabilities(
            resting=False,
            amend=False,
            post_only=False,
            not_after=self._promised.not_after,
            unique_order_id=self._promised.idempotency,
            order_id_known_before=False,
            found_for_ms=None,
        )

    def register_order(self, order: NewOrder) -> str:
        """Remember an order, so that it is read; the venue knows it by our key."""
        self.sent[order.order_id] = order
        return ""

    async def place(self, order: NewOrder) -> Receipt:
        """Send an order, once."""
        time = _TIMES.get(order.time_in_force)
        if time is None or order.post_only:
            return _refused("NO_RESTING", "nothing rests at this venue")
        if order.reduce_only or order.instrument.venue != VENUE:
            return _refused("BAD_ORDER", "it is none of this venue's")
        left_ms = min(order.not_after_ms - clock.now_ms(), self._timeout_ms)
        if left_ms <= 0:
            return _refused("TOO_LATE", "its deadline has passed")
        self.register_order(order)
        body = order_body(
            follower=self._follower,
            condition_id=order.instrument.group,
            asset_id=order.instrument.symbol,
            size_micros=order.size,
            limit_micros=order.price,
            time_in_force=time,
            not_after_ms=order.not_after_ms,
        ).encode()
        key = _key(order.order_id)
        try:
            answer = await self._client.submit(
                order.side.lower(), key, body, self._timeout_ms, leave_ms=left_ms
            )
        except NotSent as error:
            return Receipt(meaning=Meaning.NOT_ACCEPTED, code="NOT_SENT", detail=str(error))
        except Unanswered as error:
            return Receipt(meaning=Meaning.UNKNOWN, code="NO_ANSWER", detail=str(error))
        verdict = classify(answer.status, answer.body, key)
        return Receipt(
            meaning=verdict.meaning,
            code=verdict.code or (verdict.order.status if verdict.order else ""),
            venue_order_id=verdict.order.order_id if verdict.order else "",
            retry_after_ms=verdict.retry_after_ms,
        )

    async def cancel(self, order: CancelOrder) -> Receipt:
        """Refuse: nothing rests."""
        return _refused("NO_CANCEL", f"{order.instrument.venue} has no cancels")

    async def amend(self, change: AmendOrder) -> Receipt:
        """Refuse: nothing rests."""
        return _refused("NO_AMEND", f"{change.instrument.venue} amends no orders")


class InsidersAccounts:
    """Reads the wallet and its orders.

    Args:
        client: of insiders-api.
        follower: whose wallet it is.
        gateway: knows our orders, which insiders-api does not list.
        timeout_ms: for an answer.
        poll_seconds: how often orders that are not closed are read.
    """

    def __init__(
        self,
        client: InsidersClient,
        follower: Follower,
        gateway: InsidersGateway,
        *,
        timeout_ms: int = 10_000,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._client = client
        self._follower = follower
        self._gateway = gateway
        self._timeout_ms = timeout_ms
        self._poll_seconds = poll_seconds

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return our orders that are not closed yet. Raises ReadError."""
        found = [(new, await self._order(new.order_id)) for new in [*self._gateway.sent.values()]]
        return [_report(new, order) for new, order in found if order and not order.closed]

    async def find(self, order: CancelOrder) -> OrderReport | None:
        """Return the order; None: the venue says that there is none. Raises ReadError."""
        new = self._gateway.sent.get(order.order_id)
        found = await self._order(order.order_id)
        if found is None:
            return None
        if new is None:
            raise ReadError("the order is not recognised")
        return _report(new, found)

    async def fills(self, since_ms: int) -> Sequence[Fill]:
        """Return every fill of our orders that were made since then. Raises ReadError."""
        found: list[Fill] = []
        for new in [*self._gateway.sent.values()]:
            order = await self._order(new.order_id) if new.created_ms >= since_ms else None
            found += [_fill(new, order, trade) for trade in order.trades] if order else []
        return found

    async def funding(self, since_ms: int) -> Sequence[FundingPayment]:  # noqa: ARG002
        """Return nothing: shares pay no funding."""
        return ()

    async def state(self) -> AccountState:
        """Return cash and shares. Raises ReadError."""
        at_ms, proxy = clock.now_ms(), self._follower.proxy
        try:
            cash = parse_balance(_body(await self._client.balance(proxy, self._timeout_ms)), proxy)
            held = parse_positions(
                _body(await self._client.positions(proxy, self._timeout_ms)), proxy
            )
        except (NotSent, Unanswered, WireError) as error:
            raise ReadError(str(error)) from error
        total = Decimal(cash).scaleb(-6)
        return AccountState(
            balances=(Balance(currency="USDC", total=total, available=total),),
            positions=tuple(
                AccountPosition(
                    instrument_id=f"{VENUE}:{one.asset_id}",
                    size=one.shares_micros,
                    entry_price=None,
                )
                for one in held
            ),
            venue_ms=at_ms,
        )

    async def events(self) -> AsyncIterator[AccountEvent]:
        """Tell what became of our orders, beginning with Connected, for ever."""
        yield Connected(venue_ms=clock.now_ms())
        reported: dict[str, VenueOrder] = {}
        while True:
            for new in [*self._gateway.sent.values()]:
                try:
                    order = await self._order(new.order_id)
                except ReadError:
                    continue
                if order is None or reported.get(new.order_id) == order:
                    continue
                reported[new.order_id] = order
                for trade in order.trades:
                    yield _fill(new, order, trade)
                yield _report(new, order)
            await asyncio.sleep(self._poll_seconds)

    async def _order(self, order_id: str) -> VenueOrder | None:
        key = _key(order_id)
        try:
            answer = await self._client.order_by_key(key, self._timeout_ms)
            error = parse_error(answer.body)
            if answer.status == 404 and error is not None and error[0] == "ORDER_NOT_FOUND":
                return None
            order = parse_order(_body(answer))
        except (NotSent, Unanswered, WireError) as problem:
            raise ReadError(str(problem)) from problem
        if order.order_key != key:
            raise ReadError("the answer is about another order")
        return order


def _body(answer: Answer) -> bytes:
    if answer.status != 200:
        raise ReadError(f"answered {answer.status}")
    return answer.body


def _report(new: NewOrder, order: VenueOrder) -> OrderReport:
    filled = sum(one.size_micros for one in order.trades if one.status is not TradeStatus.FAILED)
    return OrderReport(
        order_id=new.order_id,
        venue_order_id=order.order_id,
        instrument_id=new.instrument.id,
        side=new.side,
        status=_status(new, order, filled),
        price=new.price,
        size=new.size,
        filled_size=filled,
        venue_ms=clock.now_ms(),
        code=order.status,
    )


def _status(new: NewOrder, order: VenueOrder, filled: int) -> OrderStatus:
    if order.voided:
        return OrderStatus.REJECTED
    if filled >= new.size:
        return OrderStatus.FILLED
    if order.closed:
        return OrderStatus.CANCELLED
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN


def _fill(new: NewOrder, order: VenueOrder, trade: VenueTrade) -> Fill:
    exact = trade.notional_micros * MICROS
    up = new.side == "BUY"
    return Fill(
        trade_id=trade.trade_id,
        order_id=new.order_id,
        venue_order_id=order.order_id,
        instrument_id=new.instrument.id,
        side=new.side,
        price=-(-exact // trade.size_micros) if up else exact // trade.size_micros,
        size=trade.size_micros,
        fee=trade.fee_micros,
        fee_currency="USDC",
        maker=False,
        # insiders-api does not say when.
        venue_ms=new.created_ms,
        undone=trade.status is TradeStatus.FAILED,
    )
