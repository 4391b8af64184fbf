"""Messages of the CLOB market channel, and the REST book, which looks the same. Pure.

All numbers come as strings, the levels in an order that nobody should rely on, a first message as
an array. What is not needed here (trades, new markets) is recognised and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from tradingtools.domain.money import MICROS
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.numbers import NumberError

Levels = tuple[tuple[int, int], ...]
"""(price, shares), both 1e-6, in any order, none with zero shares."""


class MessageError(ValueError):
    """The message is none of this channel; the text says why."""


class UnknownKind(MessageError):
    """It is of a kind that was not there when this was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookMessage:
    """A whole book. ``min_size`` and ``neg_risk`` come over REST only; an empty hash: not given."""

    asset_id: str
    condition_id: str
    bids: Levels
    asks: Levels
    book_ms: int
    book_hash: str = ""
    tick_micros: int | None = None
    min_size_micros: int | None = None
    neg_risk: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """The new total of one level; zero shares remove it.

    ``best_bid`` and ``best_ask`` are the venue's own view after the change: 0 and 1e6 for an empty
    side, None when it does not say. ``book_hash`` is its hash of the book after the change.
    """

    asset_id: str
    is_bid: bool
    price_micros: int
    size_micros: int
    best_bid: int | None
    best_ask: int | None
    book_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMessage:
    """Changes of one market, in order, usually of both its assets."""

    changes: tuple[LevelChange, ...]
    book_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TickMessage:
    """The smallest price step changed."""

    asset_id: str
    tick_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedMessage:
    """The market has resolved. ``winner`` is None when none of the assets won alone."""

    condition_id: str
    asset_ids: tuple[str, ...]
    winner: str | None


Message = BookMessage | ChangeMessage | TickMessage | ResolvedMessage


class _Level(msgspec.Struct, frozen=True):
    price: str
    size: str


class _Book(msgspec.Struct, frozen=True, tag_field="event_type", tag="book"):
    asset_id: str
    timestamp: str
    bids: list[_Level]
    asks: list[_Level]
    market: str = ""
    hash: str | None = None
    tick_size: str | None = None


class _RestBook(msgspec.Struct, frozen=True):
    asset_id: str
    timestamp: str
    bids: list[_Level]
    asks: list[_Level]
    market: str = ""
    hash: str | None = None
    tick_size: msgspec.Raw = msgspec.Raw(b"null")
    min_order_size: msgspec.Raw = msgspec.Raw(b"null")
    neg_risk: bool | None = None


class _Change(msgspec.Struct, frozen=True):
    asset_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    best_bid: str | None = None
    best_ask: str | None = None
    hash: str | None = None


class _PriceChange(msgspec.Struct, frozen=True, tag_field="event_type", tag="price_change"):
    timestamp: str
    price_changes: list[_Change]


class _Tick(msgspec.Struct, frozen=True, tag_field="event_type", tag="tick_size_change"):
    asset_id: str
    new_tick_size: str


class _Resolved(msgspec.Struct, frozen=True, tag_field="event_type", tag="market_resolved"):
    market: str
    assets_ids: list[str]
    winning_asset_id: str | None = None


class _LastTrade(msgspec.Struct, frozen=True, tag_field="event_type", tag="last_trade_price"):
    pass


class _Best(msgspec.Struct, frozen=True, tag_field="event_type", tag="best_bid_ask"):
    pass


class _NewMarket(msgspec.Struct, frozen=True, tag_field="event_type", tag="new_market"):
    pass


class _Any(msgspec.Struct, frozen=True):
    event_type: str


_Wire = _Book | _PriceChange | _Tick | _Resolved | _LastTrade | _Best | _NewMarket
_KINDS = {str(kind.__struct_config__.tag) for kind in get_args(_Wire)}
_CHANNEL = msgspec.json.Decoder(list[_Wire] | _Wire)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_KIND = msgspec.json.Decoder(_Any)
_REST_BOOK = msgspec.json.Decoder(_RestBook)


def decode_message(frame: bytes) -> list[Message]:
    """Return what a frame says, in order; empty for what is of no interest.

    Raises:
        UnknownKind: one message, of a kind that has no meaning here.
        MessageError: not JSON, not of this channel, or a number that is none.
    """
    try:
        wire = _CHANNEL.decode(frame)
        found = [_message(one) for one in (wire if isinstance(wire, list) else [wire])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NumberError) as error:
        raise (UnknownKind if _is_unknown(frame) else MessageError)(str(error)) from None
    return [one for one in found if one is not None]


def _is_unknown(frame: bytes) -> bool:
    try:
        return _KIND.decode(frame).event_type not in _KINDS
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def split(frame: bytes) -> list[bytes]:
    """Return the messages of a frame that is an array, not decoded; any other frame as it is."""
    try:
        return [bytes(one) for one in _ARRAY.decode(frame)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [frame]


def decode_rest_book(body: bytes) -> BookMessage:
    """Return the answer of ``/book``. Raises MessageError.

    A tick that no price can keep is none: the market's own rules have it, and the levels are good.
    """
    try:
        book = _REST_BOOK.decode(body)
        return BookMessage(
            asset_id=book.asset_id,
            condition_id=book.market.lower(),
            bids=_levels(book.bids),
            asks=_levels(book.asks),
            book_ms=numbers.epoch_ms("timestamp", book.timestamp),
            book_hash=book.hash or "",
            tick_micros=_optional_step(numbers.text(book.tick_size)),
            min_size_micros=_optional_least(numbers.text(book.min_order_size)),
            neg_risk=book.neg_risk,
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NumberError) as error:
        raise MessageError(str(error)) from None


def _message(wire: _Wire) -> Message | None:
    if isinstance(wire, _PriceChange):
        return ChangeMessage(
            changes=tuple(_change(change) for change in wire.price_changes),
            book_ms=numbers.epoch_ms("timestamp", wire.timestamp),
        )
    if isinstance(wire, _Book):
        return BookMessage(
            asset_id=wire.asset_id,
            condition_id=wire.market.lower(),
            bids=_levels(wire.bids),
            asks=_levels(wire.asks),
            book_ms=numbers.epoch_ms("timestamp", wire.timestamp),
            book_hash=wire.hash or "",
            tick_micros=None if wire.tick_size is None else _step(wire.tick_size),
        )
    if isinstance(wire, _Tick):
        return TickMessage(asset_id=wire.asset_id, tick_micros=_step(wire.new_tick_size))
    if isinstance(wire, _Resolved):
        # A winner that is none of them would leave all of them worth nothing.
        winner = wire.winning_asset_id if wire.winning_asset_id in wire.assets_ids else None
        return ResolvedMessage(
            condition_id=wire.market.lower(), asset_ids=tuple(wire.assets_ids), winner=winner
        )
    return None


def _change(change: _Change) -> LevelChange:
    return LevelChange(
        asset_id=change.asset_id,
        is_bid=change.side == "BUY",
        price_micros=numbers.price("price", change.price),
        size_micros=numbers.exact("size", change.size),
        best_bid=numbers.price("best_bid", change.best_bid) if change.best_bid else None,
        best_ask=numbers.price("best_ask", change.best_ask) if change.best_ask else None,
        book_hash=change.hash or "",
    )


def _levels(levels: list[_Level]) -> Levels:
    read = [
        (numbers.price("price", level.price), numbers.exact("size", level.size)) for level in levels
    ]
    return tuple(level for level in read if level[1])


def _step(text: str) -> int:
    step = numbers.price("tick size", text)
    if not 0 < step < MICROS:
        raise NumberError("tick size is out of range")
    return step


def _optional_step(text: str) -> int | None:
    try:
        return _step(text)
    except NumberError:
        return None


def _optional_least(text: str) -> int | None:
    return None if text in ("null", "") else numbers.exact("min_order_size", text)
