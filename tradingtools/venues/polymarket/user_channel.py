"""Frames of the user channel, read into what happens to the account. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tradingtools.venues.polymarket.account_rows import (
    Facts,
    OrderRow,
    Owner,
    RowUnreadable,
    TradeRow,
    fills,
    report,
)
from tradingtools.venues.polymarket.order_index import OrderIndex
from tradingtools.venues.trading import AccountEvent


class _Kind(msgspec.Struct, frozen=True):
    event_type: str = ""


_KIND = msgspec.json.Decoder(_Kind)
_ORDER = msgspec.json.Decoder(OrderRow)
_TRADE = msgspec.json.Decoder(TradeRow)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(frame: str, owner: Owner, index: OrderIndex, facts: Facts) -> Iterator[AccountEvent]:
    """Return what a frame tells of our orders, one event or several.

    Raises:
        RowUnreadable: it is no frame of this channel, or a row of it cannot be read.
    """
    for raw in _messages(frame):
        try:
            kind = _KIND.decode(raw).event_type
            if kind == "order":
                yield report(_ORDER.decode(raw), index)
            elif kind == "trade":
                yield from fills(_TRADE.decode(raw), owner, index, facts)
        except _UNREADABLE as error:
            raise RowUnreadable(str(error)) from None


def _messages(frame: str) -> list[msgspec.Raw]:
    try:
        if frame.lstrip().startswith("["):
            return msgspec.json.decode(frame, type=list[msgspec.Raw])
        return [msgspec.json.decode(frame, type=msgspec.Raw)]
    except _UNREADABLE as error:
        raise RowUnreadable(str(error)) from None
