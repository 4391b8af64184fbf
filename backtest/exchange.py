"""The exchange of a backtest: the paper matching for one bot's orders, on the backtest's clock.

It answers as a gateway does, with values of the port; it knows no wire and no latency.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from paper.matching.book import Book
from paper.matching.values import Event, OrderRemoved, OrderRested, Trade
from paper.matching.values import Kind as MatchingKind
from paper.matching.values import NewOrder as MatchingOrder
from paper.matching.values import Side as MatchingSide
from services.bots.core.own_orders import place_in
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Meaning, Side
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Fill,
    Level,
    MarketEvent,
    NewOrder,
    OrderReport,
    OrderStatus,
    Print,
    Receipt,
    RestingTime,
    TradingBook,
)

Told = OrderReport | Fill
_KINDS: dict[RestingTime, MatchingKind] = {
    RestingTime.GTC: "limit",
    RestingTime.GTD: "limit",
    RestingTime.IOC: "ioc",
    RestingTime.FOK: "fok",
}
_PARTS_PER_MILLION = 1_000_000
_SIDES: tuple[MatchingSide, ...] = ("buy", "sell")
_ALL_LEVELS = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRates:
    """Fees as parts of a million of the notional; a maker's below zero is a rebate."""

    maker: int = 0
    taker: int = 0


@dataclass(frozen=True, slots=True)
class _Order:
    new: NewOrder
    price: int
    size: int
    number: int
    filled: int = 0
    request_id: str = ""


class Exchange:
    """Books, orders and fills of the instruments.

    Args:
        instruments: all that are traded.
        fees: of the account.
        venue_fees: in their place, by venue.
    """

    def __init__(
        self,
        instruments: dict[str, Instrument],
        fees: FeeRates,
        venue_fees: Mapping[str, FeeRates] | None = None,
    ) -> None:
        self._instruments = instruments
        self._fees = {it.id: (venue_fees or {}).get(it.venue, fees) for it in instruments.values()}
        self._books = {one: Book() for one in instruments}
        self._taken: set[str] = set()
        """Instruments of which the bot may have taken what the market does not know of."""
        self._orders: dict[str, _Order] = {}
        self._ids: dict[int, str] = {}
        self._numbers = 0
        self._trades = 0

    def market(self, event: MarketEvent) -> list[Told]:
        """Let the market move; return what happens to resting orders."""
        if isinstance(event, TradingBook):
            book, one = self._books[event.instrument_id], self._instruments[event.instrument_id]
            tick, lot = one.tick_size, one.lot_size
            happened = book.snapshot(
                ((price // tick, size // lot) for price, size in event.bids),
                ((price // tick, size // lot) for price, size in event.asks),
            )
            book.touched.clear()
            return list(self._reported(event.instrument_id, happened, event.venue_ms))
        if isinstance(event, Print):
            book, one = self._books[event.instrument_id], self._instruments[event.instrument_id]
            side: MatchingSide = "buy" if event.side == "BUY" else "sell"
            happened = book.printed(side, event.price // one.tick_size, event.size // one.lot_size)
            return list(self._reported(event.instrument_id, happened, event.venue_ms))
        return []

    def shown(self, reported: TradingBook) -> TradingBook:
        """Return a book as the exchange shows it: with the bot's orders, less what it took."""
        if not self._numbers:
            return reported
        one, book = self._instruments[reported.instrument_id], self._books[reported.instrument_id]
        taken = one.id in self._taken and book.taken
        if not taken:
            self._taken.discard(one.id)
        sides: dict[Side, dict[int, int]] = {"BUY": {}, "SELL": {}}
        for known in self._orders.values():
            place = place_in(one, known.new, known.price)
            # Where something was taken, the matching is read, which has this book's own orders.
            if place is not None and not (taken and known.new.instrument.id == one.id):
                side, left = sides[place[0]], known.size - known.filled
                side[place[1]] = side.get(place[1], 0) + left
        shown = published(reported, one, book) if taken else reported
        return _joined(shown, sides["BUY"], sides["SELL"])

    def place(self, new: NewOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order, if it comes in time."""
        if now_ms > new.not_after_ms:
            return Receipt(meaning=Meaning.REJECTED, code="TOO_LATE"), []
        one = new.instrument
        if refused := _off_tick(one, new.price):
            return refused, []
        self._numbers += 1
        self._orders[new.order_id] = _Order(new, new.price, new.size, self._numbers)
        self._ids[self._numbers] = new.order_id
        happened = self._books[one.id].place(
            MatchingOrder(
                order_id=self._numbers,
                owner="bot",
                side="buy" if new.side == "BUY" else "sell",
                kind="post_only" if new.post_only else _KINDS[new.time_in_force],
                size=new.size // one.lot_size,
                price=new.price // one.tick_size,
            )
        )
        accepted = Receipt(meaning=Meaning.ACCEPTED, venue_order_id=str(self._numbers))
        return accepted, list(self._reported(one.id, happened, now_ms))

    def cancel(self, requested: CancelOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Take an order out."""
        known = self._orders.get(requested.order_id)
        book = self._books[requested.instrument.id]
        gone = book.cancel(known.number) if known is not None else None
        if gone is None:
            return Receipt(meaning=Meaning.REJECTED, code="NOT_FOUND"), []
        reported = list(self._reported(requested.instrument.id, [gone], now_ms))
        return Receipt(meaning=Meaning.ACCEPTED), reported

    def amend(self, change: AmendOrder, now_ms: int) -> tuple[Receipt, list[Told]]:
        """Change a resting order."""
        known = self._orders.get(change.order_id)
        one = change.instrument
        book = self._books[one.id]
        if known is None or book.ahead(known.number) is None or now_ms > change.not_after_ms:
            return Receipt(meaning=Meaning.REJECTED, code="NOT_FOUND"), []
        price = known.price if change.price is None else change.price
        size = known.size if change.size is None else change.size
        if refused := _off_tick(one, price):
            return refused, []
        self._orders[change.order_id] = replace(
            known, price=price, size=size, request_id=change.request_id
        )
        left = (size - known.filled) // one.lot_size
        happened = book.amend(known.number, price=price // one.tick_size, left=left)
        reported = list(self._reported(one.id, happened, now_ms))
        return Receipt(meaning=Meaning.ACCEPTED), reported

    def find(self, order_id: str, now_ms: int) -> OrderReport | None:
        """Return an order that still rests."""
        known = self._orders.get(order_id)
        return None if known is None else self._report(known, _status(known), "", now_ms)

    def _reported(self, instrument_id: str, happened: list[Event], now_ms: int) -> Iterator[Told]:
        for event in happened:
            if isinstance(event, Trade):
                yield from self._fills(instrument_id, event, now_ms)
            else:
                yield self._change(event, now_ms)

    def _change(self, event: OrderRested | OrderRemoved, now_ms: int) -> OrderReport:
        known = self._orders[self._ids[event.order_id]]
        if isinstance(event, OrderRested):
            return self._report(known, _status(known), "", now_ms)
        del self._orders[known.new.order_id]
        filled = event.reason == "filled"
        status = OrderStatus.FILLED if filled else OrderStatus.CANCELLED
        return self._report(known, status, "" if filled else event.reason, now_ms)

    def _fills(self, instrument_id: str, trade: Trade, now_ms: int) -> Iterator[Told]:
        one, fees = self._instruments[instrument_id], self._fees[instrument_id]
        for number, maker in ((trade.taker, False), (trade.maker, True)):
            if number is None:
                continue
            known = self._orders[self._ids[number]]
            size = trade.size * one.lot_size
            known = replace(known, filled=known.filled + size)
            self._orders[known.new.order_id] = known
            self._trades += 1
            self._taken.add(instrument_id)
            rate = fees.maker if maker else fees.taker
            price = trade.price * one.tick_size
            fee = -(-one.notional(price, size, up=True) * rate // _PARTS_PER_MILLION)
            yield Fill(
                trade_id=str(self._trades),
                order_id=known.new.order_id,
                venue_order_id=str(number),
                instrument_id=instrument_id,
                side=known.new.side,
                price=price,
                size=size,
                fee=fee,
                fee_currency=one.settle,
                maker=maker,
                venue_ms=now_ms,
            )
            yield self._report(known, _status(known), "", now_ms)

    def _report(self, known: _Order, status: OrderStatus, code: str, now_ms: int) -> OrderReport:
        return OrderReport(
            order_id=known.new.order_id,
            venue_order_id=str(known.number),
            instrument_id=known.new.instrument.id,
            side=known.new.side,
            status=status,
            price=known.price,
            size=known.size,
            filled_size=known.filled,
            venue_ms=now_ms,
            code=code,
            request_id=known.request_id,
        )


def _off_tick(one: Instrument, price: int) -> Receipt | None:
    """Return the refusal of a price that no exchange takes; None: it is one."""
    if price > 0 and not price % one.tick_size:
        return None
    detail = f"price is no multiple of the tick of {one.id}"
    return Receipt(meaning=Meaning.REJECTED, code="BAD_REQUEST", detail=detail)


def published(reported: TradingBook, one: Instrument, book: Book) -> TradingBook:
    """Return a book of the market with what the matching has of it: orders, less what they took."""
    tick, lot = one.tick_size, one.lot_size
    bids, asks = (
        tuple((price * tick, lots * lot) for price, lots, _ in book.depth(side, _ALL_LEVELS))
        for side in _SIDES
    )
    return msgspec.structs.replace(reported, bids=bids, asks=asks)


def _joined(reported: TradingBook, bids: Mapping[int, int], asks: Mapping[int, int]) -> TradingBook:
    """Return a book with more sizes at some prices."""
    if not bids and not asks:
        return reported
    return msgspec.structs.replace(
        reported, bids=_added(reported.bids, bids, falling=True), asks=_added(reported.asks, asks)
    )


def _added(
    levels: Sequence[Level], more: Mapping[int, int], *, falling: bool = False
) -> Sequence[Level]:
    if not more:
        return levels
    found = dict(levels)
    for price, size in more.items():
        found[price] = found.get(price, 0) + size
    return tuple(sorted(found.items(), reverse=falling))


def _status(known: _Order) -> OrderStatus:
    return OrderStatus.PARTIALLY_FILLED if known.filled else OrderStatus.OPEN
