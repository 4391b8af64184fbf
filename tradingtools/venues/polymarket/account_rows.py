"""Orders and trades of a wallet, as REST and the user channel write them. Pure.

Both write the same rows with small differences: numbers as text or not, times as seconds, ms or
ISO, statuses with a prefix or without. A trade has one taker and many makers, perhaps of the other
outcome: whose fill it is, on which side and at which price, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

import msgspec

from tradingtools.domain.money import MICROS
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.instruments import instant_ms
from tradingtools.venues.polymarket.numbers import NumberError
from tradingtools.venues.polymarket.order_index import OrderIndex
from tradingtools.venues.polymarket.trading_instruments import MarketFacts, instrument_id
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill, OrderReport, OrderStatus

_NULL = msgspec.Raw(b"null")
_STANDING = frozenset({"MATCHED", "MATCHED_NOT_BROADCASTED", "MINED", "CONFIRMED", "RETRYING"})
_TAKING = frozenset({"FAK", "FOK", "IOC"})


class RowUnreadable(ValueError):
    """A row of the account cannot be read; the text says why."""


class OrderRow(msgspec.Struct, frozen=True):
    """An order; the fields that only one of both forms has are optional."""

    id: str
    asset_id: str
    side: str
    original_size: msgspec.Raw
    size_matched: msgspec.Raw
    price: msgspec.Raw
    type: str = ""
    status: str | None = None
    order_type: str | None = None
    timestamp: msgspec.Raw = _NULL
    created_at: msgspec.Raw = _NULL


class MakerRow(msgspec.Struct, frozen=True):
    """A maker's part of a trade; old rows do not say its side."""

    order_id: str
    asset_id: str
    matched_amount: msgspec.Raw
    price: msgspec.Raw
    owner: str = ""
    maker_address: str = ""
    side: str = ""


class TradeRow(msgspec.Struct, frozen=True):
    """A trade, from its taker's point of view."""

    id: str
    taker_order_id: str
    asset_id: str
    side: str
    size: msgspec.Raw
    price: msgspec.Raw
    status: str
    owner: str = ""
    maker_address: str = ""
    trader_side: str = ""
    """TAKER or MAKER: as which we are told of it."""
    maker_orders: list[MakerRow] = []
    match_time: msgspec.Raw = _NULL
    matchtime: msgspec.Raw = _NULL
    timestamp: msgspec.Raw = _NULL
    last_update: msgspec.Raw = _NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The owner of our rows: the API key, or the wallet that holds the money."""

    api_key: str
    address: str

    def owns(self, api_key: str, address: str) -> bool:
        """Return whether a row of that key and address is ours."""
        same = bool(address) and address.lower() == self.address.lower()
        return same or (bool(api_key) and api_key == self.api_key)


Facts = Callable[[str], MarketFacts | None]
"""Known facts of an asset; None: it was not looked up."""


def report(row: OrderRow, index: OrderIndex) -> OrderReport:
    """Return an order as it stands. Raises RowUnreadable."""
    try:
        size = _amount("original_size", row.original_size)
        text = numbers.text(row.size_matched)
        # An order that was killed before it was matched says nothing here.
        filled = numbers.exact("size_matched", text) if text else 0
        price = numbers.price("price", numbers.text(row.price))
        venue_ms = _time(row.timestamp) or _time(row.created_at)
    except NumberError as error:
        raise RowUnreadable(f"order {row.id}: {error}") from None
    message = (row.status or "").removeprefix("ORDER_STATUS_")
    return OrderReport(
        order_id=index.order_id(row.id),
        venue_order_id=row.id,
        instrument_id=instrument_id(row.asset_id),
        side=_side(row.id, row.side),
        status=_status(row, message, size, filled),
        price=price,
        size=size,
        filled_size=filled,
        venue_ms=venue_ms,
        code="" if message in ("LIVE", "MATCHED") else message,
    )


def _status(row: OrderRow, message: str, size: int, filled: int) -> OrderStatus:
    if size and filled >= size:
        return OrderStatus.FILLED
    cancelled = row.type == "CANCELLATION" or message.startswith(("CANCELED", "CANCELLED"))
    if message.endswith(("EXPIRED_ORDER", "EXPIRED")):
        return OrderStatus.EXPIRED
    if cancelled or message == "INVALID":
        return OrderStatus.CANCELLED
    if message == "MATCHED" and row.order_type in _TAKING:
        return OrderStatus.CANCELLED  # what was not matched of it was killed
    # What we do not know may rest, and could still fill.
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN


def fills(row: TradeRow, owner: Owner, index: OrderIndex, facts: Facts) -> Iterator[Fill]:
    """Return our fills of a trade, undone ones if it failed. Raises RowUnreadable.

    A trade is one fill of each of our orders in it: trade id and order together are its key.
    """
    status = row.status.removeprefix("TRADE_STATUS_")
    if status not in _STANDING and status != "FAILED":
        raise RowUnreadable(f"trade {row.id}: status {status[:40]!r}")
    try:
        venue_ms = _time(row.match_time) or _time(row.matchtime) or _time(row.timestamp)
        legs = [(maker, *_leg(row, maker)) for maker in row.maker_orders]
        taker = _side(row.id, row.side)
        size = _amount("size", row.size)
        price = _taker_price(row, taker, legs, size)
    except NumberError as error:
        raise RowUnreadable(f"trade {row.id}: {error}") from None

    def fill(order: str, asset: str, side: Side, at: int, shares: int, *, maker: bool) -> Fill:
        known = facts(asset) or MarketFacts.unknown(asset)
        return Fill(
            trade_id=row.id,
            order_id=index.order_id(order),
            venue_order_id=order,
            instrument_id=instrument_id(asset),
            side=side,
            price=at,
            size=shares,
            fee=0 if maker else known.taker_fee(at, shares),
            fee_currency="USDC",
            maker=maker,
            venue_ms=venue_ms,
            undone=status == "FAILED",
        )

    if row.trader_side.upper() != "MAKER" and owner.owns(row.owner, row.maker_address):
        yield fill(row.taker_order_id, row.asset_id, taker, price, size, maker=False)
    for maker, side, at, shares in legs:
        if owner.owns(maker.owner, maker.maker_address):
            yield fill(maker.order_id, maker.asset_id, side, at, shares, maker=True)


def _leg(row: TradeRow, maker: MakerRow) -> tuple[Side, int, int]:
    """Side, price and size of a maker's part.

    A taker who buys Yes meets sellers of Yes, and buyers of No: the side is that of the maker's
    own outcome, and where it is not said it inverts with the outcome.
    """
    taker = _side(row.id, row.side)
    side = _side(row.id, maker.side) if maker.side else taker
    if not maker.side and maker.asset_id == row.asset_id:
        side = "SELL" if taker == "BUY" else "BUY"
    price = numbers.price("price", numbers.text(maker.price))
    return side, price, _amount("matched_amount", maker.matched_amount)


def _taker_price(
    row: TradeRow, taker: Side, legs: list[tuple[MakerRow, Side, int, int]], size: int
) -> int:
    """Price of a share for the taker: the mean over the makers, rounded against the taker.

    The row's own price stands where the makers do not add up to it.
    """
    if not legs or sum(shares for *_, shares in legs) != size:
        return numbers.price("price", numbers.text(row.price))
    paid = 0
    for _, side, at, shares in legs:
        # Of one side, they trade two outcomes against each other: their prices add up to 1.
        paid += (MICROS - at if side == taker else at) * shares
    return -(-paid // size) if taker == "BUY" else paid // size


def _side(of: str, text: str) -> Side:
    for side in get_args(Side):
        if text.upper() == side:
            known: Side = side
            return known
    raise RowUnreadable(f"{of}: side {text[:20]!r}")


def _amount(name: str, raw: msgspec.Raw) -> int:
    return numbers.exact(name, numbers.text(raw))


def _time(raw: msgspec.Raw) -> int:
    """Ms since the epoch; 0 when it is not said."""
    text = numbers.text(raw)
    if text in ("", "null", "0"):
        return 0
    if "T" in text:
        return instant_ms(text) or 0
    return numbers.epoch_ms("time", text)
