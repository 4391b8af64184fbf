"""A wallet at the paper CLOB, in the place of a backtest's exchange.

It is the core of the server that bots trade against on paper: one book of both outcomes, its rules
of amounts, its settlement and ledger; orders come by the amounts that would be signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from backtest.exchange import Exchange, FeeRates, Told
from backtest.run import CAPABILITIES
from paper.clob.core import exchange as clob
from paper.clob.core.placement import Placement
from paper.clob.core.values import (
    Leg,
    Market,
    Order,
    OrderUpdate,
    Refusal,
    Trade,
    TradeUpdate,
)
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.polymarket.order_amounts import resting_amounts, taking_amounts
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AT_ONCE,
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

ABLE = replace(CAPABILITIES, amend=False, not_after=False, taking_buys_spend=True)
"""As at Polymarket, but for an end of each order: a tape is too short for it."""
_CONDITION, _WALLET, _DEPOSIT = "0xmarket", "0xbot", 10_000_000_000
_PRICE = 100
"""Our units of price in one of theirs."""


class PaperClobAccount(Exchange):
    """One wallet with ten thousand USDC that trades one market."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        super().__init__({one.id: one for one in instruments}, FeeRates())
        self._first = instruments[0]
        self.at = clob.Exchange(seed=1, settles_ms=0)
        self.at.list_market(
            Market(
                condition=_CONDITION, assets=("yes", "no"),
                tick=self._first.tick_size // _PRICE, min_size=self._first.minimum_size,
            )
        )  # fmt: skip
        self.at.ledger.deposit(_WALLET, _DEPOSIT)

    def market(self, event: MarketEvent) -> list[Told]:
        """Let the market move; the other outcome's book is this one's mirror."""
        if not isinstance(event, TradingBook | Print):
            return []
        now_ms = event.venue_ms
        self.at.advance(now_ms)
        if event.instrument_id == self._first.id and isinstance(event, TradingBook):
            bids, asks = (
                [(price // _PRICE, size) for price, size in side]
                for side in (event.bids, event.asks)
            )
            self.at.snapshot(_CONDITION, bids, asks, now_ms)
        elif event.instrument_id == self._first.id and isinstance(event, Print):
            self.at.printed(_CONDITION, event.side, event.price // _PRICE, event.size, now_ms)
        return self._happened(now_ms)

    def shown(self, reported: TradingBook) -> TradingBook:
        """Return a book as this exchange publishes it."""
        state = self.at.market(_CONDITION)
        assert state is not None
        ladders = state.ladder(0 if reported.instrument_id == self._first.id else 1)
        bids, asks = (tuple((price * _PRICE, size) for price, size in one) for one in ladders)
        return msgspec.structs.replace(reported, bids=bids, asks=asks)

    def place(self, new: NewOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order by the amounts that would be signed."""
        taking, one = new.time_in_force in AT_ONCE, new.instrument
        amounts = (taking_amounts if taking else resting_amounts)(
            new.side, price=new.price, size=new.size, tick=one.tick_size
        )
        placed = Placement(
            id=new.order_id, wallet=_WALLET, asset=one.base, side=new.side,
            maker_amount=amounts.maker, taker_amount=amounts.taker,
            kind="FAK" if new.time_in_force is RestingTime.IOC else "GTC",
            post_only=new.post_only, expiration_ms=None,
        )  # fmt: skip
        try:
            self.at.place(placed, _WALLET, now_ms)
        except Refusal as refusal:
            return Receipt(meaning=Meaning.REJECTED, code=refusal.text), self._happened(now_ms)
        self.at.advance(now_ms)
        return Receipt(meaning=Meaning.ACCEPTED), self._happened(now_ms)

    def cancel(self, requested: CancelOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order out."""
        why = self.at.cancel(requested.order_id, {_WALLET}, now_ms)
        meaning = Meaning.ACCEPTED if why is None else Meaning.REJECTED
        return Receipt(meaning=meaning, code=why or ""), self._happened(now_ms)

    def find(self, order_id: str, now_ms: int) -> OrderReport | None:
        """Return an order."""
        known = self.at.orders.get(order_id)
        return None if known is None else _reported(known, now_ms)

    def shares(self, instrument: Instrument) -> int:
        """Return the shares that the wallet has, in micros."""
        return self.at.ledger.shares[_WALLET, instrument.base]

    def gained(self) -> int:
        """Return the USDC that it has more than in the beginning, in micros."""
        return self.at.ledger.usdc[_WALLET] - _DEPOSIT

    def _happened(self, now_ms: int) -> list[Told]:
        reported: list[Told] = []
        happenings, self.at.happenings = self.at.happenings, []
        for one in happenings:
            if isinstance(one, OrderUpdate) and one.order.wallet == _WALLET:
                reported.append(_reported(one.order, now_ms))
            elif isinstance(one, TradeUpdate) and one.trade.status == "MATCHED":
                reported += _fills(one.trade, now_ms)
        return reported


def _fills(trade: Trade, now_ms: int) -> Iterator[Fill]:
    for leg in trade.legs:
        if leg.wallet == _WALLET:
            yield _fill(trade, leg, now_ms)


def _fill(trade: Trade, leg: Leg, now_ms: int) -> Fill:
    return Fill(
        trade_id=trade.id, order_id=leg.order_id, venue_order_id=leg.order_id,
        instrument_id=f"polymarket:{leg.asset}", side=leg.side, price=leg.price * _PRICE,
        size=leg.size, fee=leg.fee, fee_currency="USDC", maker=leg is not trade.taker,
        venue_ms=now_ms,
    )  # fmt: skip


def _reported(order: Order, now_ms: int) -> OrderReport:
    status = OrderStatus.CANCELLED
    if order.resting:
        status = OrderStatus.PARTIALLY_FILLED if order.matched else OrderStatus.OPEN
    elif order.status == "MATCHED" and order.matched >= order.size:
        status = OrderStatus.FILLED
    return OrderReport(
        order_id=order.id, venue_order_id=order.id, instrument_id=f"polymarket:{order.asset}",
        side=order.side, status=status, price=order.price * _PRICE, size=order.size,
        filled_size=order.matched, venue_ms=now_ms,
    )  # fmt: skip
