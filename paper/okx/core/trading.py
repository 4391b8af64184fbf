"""Orders: placed, amended, cancelled, and filled by what their books say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from paper.matching.values import Event, NewOrder, OrderRemoved, Side, Trade, opposite
from paper.okx.core.admission import admit, check_funds, check_limits, read_numbers
from paper.okx.core.booking import book, note
from paper.okx.core.codes import Refusal
from paper.okx.core.happenings import PublicTrade
from paper.okx.core.instruments import Instrument
from paper.okx.core.orders import (
    CANCEL_SOURCES,
    MATCHING,
    TIMER,
    Order,
    OrderRequest,
)
from paper.okx.core.world import World

_WHOLE = 10**30
"""Lots of an order that its budget alone bounds."""


class Trading:
    """The acts of accounts and of the market on the books."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._timers: dict[tuple[str, str], int] = {}
        self.touched: set[str] = set()
        """Accounts whose positions changed; who watches risks empties it."""
        self.parts = 1
        """In how many fills each trade comes that is no print of the market."""

    def place(
        self, account: str, request: OrderRequest, now_ms: int, *, expires_ms: int | None = None
    ) -> Order:
        """Take an order and match it. Raises Refusal."""
        if expires_ms is not None and now_ms > expires_ms:
            raise Refusal("51149")
        world = self._world
        order = admit(world, world.account(account), request, now_ms)
        events = world.books[order.instrument.inst_id].place(
            NewOrder(
                order_id=order.number,
                owner=account,
                side=order.side,
                kind=MATCHING[order.kind],
                size=order.size if order.budget is None else _WHOLE,
                price=order.price,
                budget=order.budget,
                self_trade=order.self_trade,
            )
        )
        world.add(order)
        if not _post_only(events):
            world.notify(order)
        self._bound(order)
        self.apply(order.instrument, events, now_ms)
        return order

    def cancel(self, account: str, inst_id: str, ord_id: str, cl_ord_id: str, now_ms: int) -> Order:
        """Cancel an open order. Raises Refusal."""
        order = self._open(account, inst_id, ord_id, cl_ord_id, now_ms, "51400")
        self.withdraw([order], now_ms)
        return order

    def amend(  # noqa: PLR0913 - the request has so many parts
        self,
        account: str,
        inst_id: str,
        ord_id: str,
        cl_ord_id: str,
        *,
        size: str,
        price: str,
        req_id: str,
        cancel_on_fail: bool,
        now_ms: int,
    ) -> Order:
        """Change an open order; `size` is the new whole, filled lots included. Raises
        Refusal."""
        order = self._open(account, inst_id, ord_id, cl_ord_id, now_ms, "51503")
        if not size and not price:
            raise Refusal("50014", "newSz")
        of = order.instrument
        try:
            changed = replace(
                order.request,
                sz=size or of.size_text(order.size),
                px=price or of.price_text(order.price or 0),
            )
            sized = read_numbers(of, changed)
            check_limits(self._world, of, order.side, sized)
            if sized.size > order.filled:
                desired = replace(order, size=sized.size, price=sized.price)
                check_funds(self._world, self._world.account(account), desired, instead=True)
        except Refusal:
            if cancel_on_fail:
                self.withdraw([order], now_ms)
            raise
        order.size, order.price = max(sized.size, order.filled), sized.price
        order.updated_ms, order.req_id, order.amend_result = now_ms, req_id, "0"
        events = self._world.books[of.inst_id].amend(
            order.number, price=sized.price, left=order.left
        )
        if order.left:
            self._world.notify(order)
            self._bound(order)
        self.apply(of, events, now_ms)
        return order

    def withdraw(self, orders: Iterable[Order], now_ms: int, *, source: str = "") -> None:
        """Take open orders out; `source` is why, empty: their owner wants it."""
        for order in list(orders):
            gone = self._world.books[order.instrument.inst_id].cancel(order.number)
            if gone is not None:
                order.leaving = source
                self.apply(order.instrument, [gone], now_ms)

    def cancel_all_after(self, account: str, tag: str, seconds: int, now_ms: int) -> int:
        """Set (0: disarm) the dead man's switch of an account's orders with a tag, all of them
        without one; when it fires in ms, 0 for never. Raises Refusal."""
        if seconds != 0 and not 10 <= seconds <= 120:
            raise Refusal("51000", "timeOut")
        if not seconds:
            self._timers.pop((account, tag), None)
            return 0
        if (account, tag) not in self._timers:
            tags = sum(1 for owner, _ in self._timers if owner == account)
            if tags >= 20:
                raise Refusal("51000", "tag")
        self._timers[account, tag] = now_ms + seconds * 1000
        return self._timers[account, tag]

    def tick(self, now_ms: int) -> None:
        """Fire the switches whose time has come."""
        for (account, tag), at in list(self._timers.items()):
            if now_ms >= at:
                del self._timers[account, tag]
                orders = self._world.open_orders(account)
                chosen = [one for one in orders if not tag or one.request.tag == tag]
                self.withdraw(chosen, now_ms, source=TIMER)

    # The market's side.

    def market_level(self, inst_id: str, side: Side, price: int, size: int, now_ms: int) -> None:
        """Take the market's size at a price."""
        of = self._world.instruments[inst_id]
        self.apply(of, self._world.books[inst_id].level(side, price, size), now_ms)

    def market_book(
        self,
        inst_id: str,
        bids: Iterable[tuple[int, int]],
        asks: Iterable[tuple[int, int]],
        now_ms: int,
    ) -> None:
        """Take the market's whole book."""
        of = self._world.instruments[inst_id]
        self.apply(of, self._world.books[inst_id].snapshot(bids, asks), now_ms)

    def market_print(self, inst_id: str, side: Side, price: int, lots: int, now_ms: int) -> None:
        """Take a trade of the market; `side` is its taker's."""
        of = self._world.instruments[inst_id]
        number = self._world.next_trade(inst_id)
        self._world.printed(PublicTrade(inst_id, number, side, price, lots, now_ms))
        events = self._world.books[inst_id].printed(side, price, lots)
        self.apply(of, events, now_ms, trade_id=number)

    def apply(
        self,
        of: Instrument,
        events: Iterable[Event],
        now_ms: int,
        *,
        trade_id: int | None = None,
    ) -> None:
        """Book what a book said; trades of a print carry its id."""
        reducing: set[tuple[str, str]] = set()
        for event in events:
            if isinstance(event, Trade):
                for part in self._split(event) if trade_id is None else (event,):
                    reducing |= self._trade(of, part, now_ms, trade_id)
            elif isinstance(event, OrderRemoved):
                self._gone(event, now_ms)
        for account, mode in reducing:
            self._world.position_changed(account, of.inst_id, mode)
            self.touched.add(account)
            self._drop_reducing(account, of, mode, now_ms)

    def _split(self, trade: Trade) -> list[Trade]:
        sizes = [trade.size // self.parts] * (self.parts - 1)
        sizes.append(trade.size - sum(sizes))
        return [replace(trade, size=size) for size in sizes if size]

    def _trade(
        self, of: Instrument, trade: Trade, now_ms: int, trade_id: int | None
    ) -> set[tuple[str, str]]:
        number = trade_id
        if number is None:
            number = self._world.next_trade(of.inst_id)
            self._world.printed(
                PublicTrade(of.inst_id, number, trade.taker_side, trade.price, trade.size, now_ms)
            )
        changed: set[tuple[str, str]] = set()
        for which, maker, side in (
            (trade.taker, False, trade.taker_side),
            (trade.maker, True, opposite(trade.taker_side)),
        ):
            lots = trade.size if side == "buy" else -trade.size
            if which is None:
                book(self._world, of, None, lots, trade.price, maker=maker, now_ms=now_ms)
                continue
            order = self._world.orders[which]
            booked = book(self._world, of, order, lots, trade.price, maker=maker, now_ms=now_ms)
            note(self._world, order, trade, booked, number, maker=maker, now_ms=now_ms)
            if of.is_contract:
                changed.add((order.owner, order.mode))
        return changed

    def _gone(self, gone: OrderRemoved, now_ms: int) -> None:
        order = self._world.orders.get(gone.order_id)
        if order is None:
            return  # the fill that completed it has told it
        order.updated_ms = now_ms
        spent = order.budget is not None and order.filled > 0
        if gone.reason == "filled" or spent:
            order.state = "filled"
        else:
            order.state = "canceled"
            order.cancel_source = order.leaving or CANCEL_SOURCES[gone.reason]
        self._bound(order)
        self._world.notify(order)

    def _bound(self, order: Order) -> None:
        of = order.instrument
        currency = of.settle if of.is_contract or order.side == "buy" else of.base
        self._world.account_changed(order.owner, currency)

    def _drop_reducing(self, account: str, of: Instrument, mode: str, now_ms: int) -> None:
        """Cancel orders that may only reduce a position and could now open one."""
        held = self._world.account(account).held(of.inst_id, mode)
        for order in self._world.open_orders(account):
            if not order.request.reduce_only or order.instrument is not of or order.mode != mode:
                continue
            left = 0 if held is None else -held.lots * order.signed
            if order.left > left:
                self.withdraw([order], now_ms, source="22")

    def _open(
        self, account: str, inst_id: str, ord_id: str, cl_ord_id: str, now_ms: int, code: str
    ) -> Order:
        if not ord_id and not cl_ord_id:
            raise Refusal("50014", "ordId")
        order = self._world.find(account, ord_id, cl_ord_id, now_ms)
        if order is None or order.instrument.inst_id != inst_id or not order.is_open:
            raise Refusal(code)
        return order


def _post_only(events: list[Event]) -> bool:
    return bool(events) and isinstance(events[0], OrderRemoved) and events[0].reason == "post_only"
