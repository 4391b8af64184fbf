"""An account at the paper OKX, in the place of a backtest's exchange.

It is the core of the server that bots trade against on paper: its admission, margin, ledger and
fees are its own, and its answers come in its own units.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from backtest.exchange import Exchange, FeeRates, Told, published
from paper.okx import listing
from paper.okx.core import exchange as okx
from paper.okx.core.amounts import ONE, ceil_div
from paper.okx.core.codes import Refusal
from paper.okx.core.happenings import OrderChanged
from paper.okx.core.orders import Order, OrderRequest
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Fill,
    MarketEvent,
    NewOrder,
    OrderReport,
    OrderStatus,
    Print,
    Receipt,
    RestingTime,
    TradingBook,
)

NAME = "bot"
_DEPOSIT = 1_000_000
_STATUS = {
    "live": OrderStatus.OPEN,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
}
_ACCEPTED = Receipt(meaning=Meaning.ACCEPTED)


class PaperAccount(Exchange):
    """One account with a million USDT that trades one instrument."""

    def __init__(self, instrument: Instrument, start_ms: int) -> None:
        super().__init__({instrument.id: instrument}, FeeRates())
        self._one, self._symbol = instrument, instrument.symbol
        listed = [it for it in listing.instruments(start_ms) if it.inst_id == self._symbol]
        self.at = okx.Exchange(listed, listing.tiers(listed))
        self.at.open_account(NAME)
        self.at.deposit(NAME, instrument.settle, _DEPOSIT * ONE, start_ms)
        # Units of ours to a quintillionth of theirs.
        self._unit = ONE // 10**instrument.money_digits

    def market(self, event: MarketEvent) -> list[Told]:
        """Let the market move; return what happens to resting orders."""
        tick, lot, now_ms = self._one.tick_size, self._one.lot_size, 0
        if isinstance(event, TradingBook):
            now_ms = event.venue_ms
            sides = [[(p // tick, s // lot) for p, s in one] for one in (event.bids, event.asks)]
            self.at.mark(self._symbol, (sides[0][0][0] + sides[1][0][0]) // 2, now_ms)
            self.at.market_book(self._symbol, sides[0], sides[1], now_ms)
        elif isinstance(event, Print):
            now_ms = event.venue_ms
            self.at.market_print(
                self._symbol, "buy" if event.side == "BUY" else "sell", event.price // tick,
                event.size // lot, now_ms,
            )  # fmt: skip
        return self._happened(now_ms)

    def shown(self, told: TradingBook) -> TradingBook:
        """Return a book as this exchange publishes it."""
        return published(told, self._one, self.at.world.books[self._symbol])

    def place(self, new: NewOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order as the wire would bring it."""
        kind = "post_only" if new.post_only else "limit"
        request = OrderRequest(
            inst_id=self._symbol, td_mode="cross", side=new.side.lower(),
            ord_type="ioc" if new.time_in_force is RestingTime.IOC else kind,
            sz=self._one.size_text(new.size), px=self._one.price_text(new.price),
            cl_ord_id=new.order_id,
        )  # fmt: skip
        return self._asked(lambda: self.at.place(NAME, request, now_ms), now_ms)

    def cancel(self, asked: CancelOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order out."""
        return self._asked(
            lambda: self.at.cancel(NAME, self._symbol, "", asked.order_id, now_ms), now_ms
        )

    def amend(self, change: AmendOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Change a resting order."""
        price = "" if change.price is None else self._one.price_text(change.price)
        size = "" if change.size is None else self._one.size_text(change.size)
        return self._asked(
            lambda: self.at.amend(
                NAME, self._symbol, "", change.order_id, size=size, price=price,
                req_id=change.request_id, now_ms=now_ms,
            ),
            now_ms,
        )  # fmt: skip

    def _asked(self, ask: Callable[[], Order], now_ms: int) -> tuple[Receipt, list[Told]]:
        try:
            ask()
        except Refusal as refusal:
            return Receipt(meaning=Meaning.REJECTED, code=str(refusal)), self._happened(now_ms)
        return _ACCEPTED, self._happened(now_ms)

    def _happened(self, now_ms: int) -> list[Told]:
        told: list[Told] = []
        for one in self.at.drain():
            if not isinstance(one, OrderChanged):
                continue
            order, fill = one.order, one.fill
            if fill is not None:
                told.append(
                    Fill(
                        trade_id=str(fill.trade_id), order_id=order.request.cl_ord_id,
                        venue_order_id=order.ord_id, instrument_id=self._one.id,
                        side="BUY" if order.side == "buy" else "SELL",
                        price=fill.price * self._one.tick_size,
                        size=fill.lots * self._one.lot_size,
                        fee=ceil_div(fill.fee, self._unit), fee_currency=fill.currency,
                        maker=fill.maker, venue_ms=now_ms,
                    )
                )  # fmt: skip
            told.append(self._reported(order, now_ms))
        return told

    def _reported(self, order: Order, now_ms: int) -> OrderReport:
        return OrderReport(
            order_id=order.request.cl_ord_id, venue_order_id=order.ord_id,
            instrument_id=self._one.id, side="BUY" if order.side == "buy" else "SELL",
            status=_STATUS.get(order.state, OrderStatus.CANCELLED),
            price=(order.price or 0) * self._one.tick_size,
            size=order.size * self._one.lot_size, filled_size=order.filled * self._one.lot_size,
            venue_ms=now_ms, code=order.cancel_source, request_id=order.req_id,
        )  # fmt: skip

    def gained(self) -> Decimal:
        """Return what its cash has grown by, fees paid."""
        cash = self.at.world.account(NAME).cash[self._one.settle]
        return Decimal(cash) / ONE - _DEPOSIT
