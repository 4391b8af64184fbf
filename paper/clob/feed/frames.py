"""Frames of Polymarket's market channel, read into what they do to a book.

Both outcomes are told of; the book is that of the first one, so the other's rows are passed over,
except its trades, which are turned round. A size is cut to hundredths of a share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from paper.clob.core.amounts import micros
from paper.clob.core.markets import CENT_OF_SHARE
from paper.clob.core.values import ONE, WHOLE, Market, Side

Levels = tuple[tuple[int, int], ...]
"""Price (1e-4) and size (micros)."""


@dataclass(frozen=True, slots=True)
class BookEvent:
    """The whole book of the first outcome."""

    condition: str
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class LevelEvent:
    """The size at a price, 0 for none."""

    condition: str
    side: Side
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class TradeEvent:
    """A trade; `side` is its taker's, in the first outcome."""

    condition: str
    side: Side
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class TickSizeEvent:
    """A new tick, 1e-4."""

    condition: str
    tick: int


@dataclass(frozen=True, slots=True)
class ResolvedEvent:
    """The payouts, micros a share of each outcome."""

    condition: str
    payouts: tuple[int, int]


Event = BookEvent | LevelEvent | TradeEvent | TickSizeEvent | ResolvedEvent


class _Level(msgspec.Struct, frozen=True):
    price: str
    size: str


class _Change(msgspec.Struct, frozen=True):
    asset_id: str
    price: str
    size: str
    side: Side


class _Frame(msgspec.Struct, frozen=True):
    event_type: str = ""
    asset_id: str = ""
    bids: list[_Level] = []
    asks: list[_Level] = []
    price_changes: list[_Change] = []
    price: str = ""
    size: str = ""
    side: str = ""
    new_tick_size: str = ""
    assets_ids: list[str] = []
    winning_asset_id: str = ""


class Frames:
    """Reads the frames of some markets; those of others tell nothing.

    Args:
        listed: markets by asset.
    """

    def __init__(self, listed: Mapping[str, Market]) -> None:
        self._listed = listed

    def read(self, text: str) -> Iterator[Event]:
        """Return what a frame does. Raises ValueError for what is no frame."""
        try:
            if text.lstrip().startswith("["):
                frames = msgspec.json.decode(text, type=list[_Frame])
            else:
                frames = [msgspec.json.decode(text, type=_Frame)]
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        for frame in frames:
            yield from self._one(frame)

    def _one(self, frame: _Frame) -> Iterator[Event]:
        if frame.event_type == "price_change":
            for change in frame.price_changes:
                market = self._first(change.asset_id)
                if market is not None:
                    price, size = _price(change.price), _size(change.size)
                    yield LevelEvent(market.condition, change.side, price, size)
            return
        if frame.event_type == "market_resolved":
            yield from self._resolved(frame)
            return
        market = self._listed.get(frame.asset_id)
        if market is None:
            return
        if frame.event_type == "last_trade_price":
            yield _trade(frame, market)
        elif frame.asset_id == market.assets[0] and frame.event_type == "book":
            yield BookEvent(market.condition, _levels(frame.bids), _levels(frame.asks))
        elif frame.asset_id == market.assets[0] and frame.event_type == "tick_size_change":
            yield TickSizeEvent(market.condition, _price(frame.new_tick_size))

    def _resolved(self, frame: _Frame) -> Iterator[Event]:
        found = [self._first(asset) for asset in frame.assets_ids]
        for market in found:
            if market is None:
                continue
            payouts = (ONE // 2, ONE // 2)
            if frame.winning_asset_id in market.assets:
                won = market.assets.index(frame.winning_asset_id)
                payouts = (ONE, 0) if won == 0 else (0, ONE)
            yield ResolvedEvent(market.condition, payouts)

    def _first(self, asset: str) -> Market | None:
        """The market whose first outcome an asset is."""
        market = self._listed.get(asset)
        return market if market is not None and asset == market.assets[0] else None


def _trade(frame: _Frame, market: Market) -> TradeEvent:
    price, size = _price(frame.price), _size(frame.size)
    buys = frame.side == "BUY"
    if frame.asset_id != market.assets[0]:
        price, buys = WHOLE - price, not buys
    return TradeEvent(market.condition, "BUY" if buys else "SELL", price, size)


def _levels(levels: list[_Level]) -> Levels:
    return tuple((_price(level.price), _size(level.size)) for level in levels)


def _price(text: str) -> int:
    return micros(text) // 100


def _size(text: str) -> int:
    return micros(text) // CENT_OF_SHARE * CENT_OF_SHARE
