"""An account at the paper OKX, in the place of a backtest's exchange.

It is the core of the server that bots trade against on paper: its admission, margin, ledger and
fees are its own, and its answers come in its own units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from backtest.exchange import Exchange, FeeRates, Told, published
from paper.okx import listing
from paper.okx.core import exchange as okx
from paper.okx.core import instruments as okx_instruments
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


@dataclass(frozen=True)
class _Listed:
    """An instrument of ours beside the exchange's."""

    ours: Instrument
    theirs: okx_instruments.Instrument

    @property
    def ticks(self) -> int:
        """Return the exchange's ticks in one of ours."""
        return self.theirs.ticks(self.ours.price_text(self.ours.tick_size))

    @property
    def lots(self) -> int:
        """Return the exchange's lots in one of ours."""
        return self.theirs.lots(self.ours.size_text(self.ours.lot_size))

    def price(self, ticks: int) -> int:
        """Return a price in our units."""
        return ticks * self.ours.tick_size // self.ticks

    def size(self, lots: int) -> int:
        """Return a size in our units."""
        return lots * self.ours.lot_size // self.lots


class PaperAccount(Exchange):
    """One account with a million USDT that trades some instruments."""

    def __init__(self, instruments: Sequence[Instrument], start_ms: int) -> None:
        super().__init__({one.id: one for one in instruments}, FeeRates())
        symbols = {one.symbol: one for one in instruments}
        listed = [it for it in listing.instruments(start_ms) if it.inst_id in symbols]
        self._listed = {it.inst_id: _Listed(symbols[it.inst_id], it) for it in listed}
        self._settle = instruments[0].settle
        self.at = okx.Exchange(listed, listing.tiers(listed))
        self.at.open_account(NAME)
        self.at.deposit(NAME, self._settle, _DEPOSIT * ONE, start_ms)

    def market(self, event: MarketEvent) -> list[Told]:
        """Let the market move; return what happens to resting orders."""
        if not isinstance(event, TradingBook | Print):
            return []
        one, symbol = self._of(event.instrument_id), event.instrument_id.partition(":")[2]
        tick, lot, now_ms = one.ours.tick_size, one.ours.lot_size, event.venue_ms
        ticks, lots = one.ticks, one.lots
        if isinstance(event, TradingBook):
            sides = [
                [(p // tick * ticks, s // lot * lots) for p, s in side]
                for side in (event.bids, event.asks)
            ]
            if one.theirs.is_contract:
                self.at.mark(symbol, (sides[0][0][0] + sides[1][0][0]) // 2, now_ms)
            self.at.market_book(symbol, sides[0], sides[1], now_ms)
        else:
            self.at.market_print(
                symbol, "buy" if event.side == "BUY" else "sell", event.price // tick * ticks,
                event.size // lot * lots, now_ms,
            )  # fmt: skip
        return self._happened(now_ms)

    def shown(self, reported: TradingBook) -> TradingBook:
        """Return a book as this exchange publishes it."""
        one = self._of(reported.instrument_id)
        theirs = replace(
            one.ours,
            tick_size=one.ours.tick_size // one.ticks,
            lot_size=one.ours.lot_size // one.lots,
        )
        return published(reported, theirs, self.at.world.books[one.theirs.inst_id])

    def place(self, new: NewOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order as the wire would bring it."""
        kind, one = "post_only" if new.post_only else "limit", new.instrument
        contract = self._of(one.id).theirs.is_contract
        request = OrderRequest(
            inst_id=one.symbol, td_mode="cross" if contract else "cash", side=new.side.lower(),
            ord_type="ioc" if new.time_in_force is RestingTime.IOC else kind,
            sz=one.size_text(new.size), px=one.price_text(new.price), cl_ord_id=new.order_id,
        )  # fmt: skip
        return self._requested(lambda: self.at.place(NAME, request, now_ms), now_ms)

    def cancel(self, requested: CancelOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order out."""
        return self._requested(
            lambda: self.at.cancel(
                NAME, requested.instrument.symbol, "", requested.order_id, now_ms
            ),
            now_ms,
        )

    def amend(self, change: AmendOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Change a resting order."""
        one = change.instrument
        price = "" if change.price is None else one.price_text(change.price)
        size = "" if change.size is None else one.size_text(change.size)
        return self._requested(
            lambda: self.at.amend(
                NAME, one.symbol, "", change.order_id, size=size, price=price,
                req_id=change.request_id, now_ms=now_ms,
            ),
            now_ms,
        )  # fmt: skip

    def _of(self, instrument_id: str) -> _Listed:
        return self._listed[instrument_id.partition(":")[2]]

    def _requested(self, ask: Callable[[], Order], now_ms: int) -> tuple[Receipt, list[Told]]:
        try:
            ask()
        except Refusal as refusal:
            return Receipt(meaning=Meaning.REJECTED, code=str(refusal)), self._happened(now_ms)
        return _ACCEPTED, self._happened(now_ms)

    def _happened(self, now_ms: int) -> list[Told]:
        reported: list[Told] = []
        for happened in self.at.drain():
            if not isinstance(happened, OrderChanged):
                continue
            order, fill = happened.order, happened.fill
            one = self._listed[order.request.inst_id]
            if fill is not None:
                # Units of ours to a quintillionth of theirs.
                unit = ONE // 10**one.ours.money_digits
                reported.append(
                    Fill(
                        trade_id=str(fill.trade_id), order_id=order.request.cl_ord_id,
                        venue_order_id=order.ord_id, instrument_id=one.ours.id,
                        side="BUY" if order.side == "buy" else "SELL",
                        price=one.price(fill.price), size=one.size(fill.lots),
                        fee=ceil_div(fill.fee, unit), fee_currency=fill.currency,
                        maker=fill.maker, venue_ms=now_ms,
                    )
                )  # fmt: skip
            reported.append(_reported(one, order, now_ms))
        return reported

    def gained(self) -> Decimal:
        """Return what its cash has grown by, fees paid."""
        cash = self.at.world.account(NAME).cash[self._settle]
        return Decimal(cash) / ONE - _DEPOSIT

    def position(self, instrument: Instrument) -> int:
        """Return what the account holds of a contract, in our units; below zero: short."""
        one = self._of(instrument.id)
        held = self.at.world.account(NAME).positions.get((one.theirs.inst_id, "cross"))
        return 0 if held is None else one.size(held.lots)

    def coins(self, currency: str) -> Decimal:
        """Return how many coins of a currency the account has."""
        return Decimal(self.at.world.account(NAME).cash[currency]) / ONE


def _reported(one: _Listed, order: Order, now_ms: int) -> OrderReport:
    return OrderReport(
        order_id=order.request.cl_ord_id, venue_order_id=order.ord_id, instrument_id=one.ours.id,
        side="BUY" if order.side == "buy" else "SELL",
        status=_STATUS.get(order.state, OrderStatus.CANCELLED), price=one.price(order.price or 0),
        size=one.size(order.size), filled_size=one.size(order.filled), venue_ms=now_ms,
        code=order.cancel_source, request_id=order.req_id,
    )  # fmt: skip
