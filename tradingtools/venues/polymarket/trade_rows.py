"""Rows of trades: from frames of the activity feed (RTDS) and from the Data API. Pure.

Both spell one fact in two ways (camelCase, ``asset`` and a checksummed wallet; snake_case,
``token_id`` and a wallet in lower case); what comes out is one spelling. The feed's payload is an
unofficial contract, the Data API's is the one of polymarket-client 0.14.0, the venue's own SDK
(``models/data``); each field that we need is checked, each other one is ignored.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from tradingtools.domain import ids
from tradingtools.domain.leader_trade import MAX_SHARES_MICROS
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.ports import Position, RowError, Side, TradeRow

T = TypeVar("T")
TOPIC = "activity"
TYPES = ("trades", "orders_matched")
TEXT_MAX = 300


class _DataTrade(msgspec.Struct, frozen=True, kw_only=True):
    proxy_wallet: str
    transaction_hash: str
    asset: str = msgspec.field(name="token_id")
    condition_id: str
    side: Side
    price: msgspec.Raw
    size: msgspec.Raw
    timestamp: msgspec.Raw
    title: str | None = None
    outcome: str | None = None


# Not a subclass: renaming reaches a class's own fields only.
class _FeedTrade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    proxy_wallet: str
    transaction_hash: str
    asset: str
    condition_id: str
    side: Side
    price: msgspec.Raw
    size: msgspec.Raw
    timestamp: msgspec.Raw
    title: str | None = None
    outcome: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    topic: str
    type: str
    payload: msgspec.Raw


class _Pagination(msgspec.Struct, frozen=True):
    has_more: bool = False
    next_cursor: str | None = None


class _Page(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]
    pagination: _Pagination


class _Position(msgspec.Struct, frozen=True):
    token_id: str
    current_size: msgspec.Raw
    condition_id: str = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_FEED_TRADE = msgspec.json.Decoder(_FeedTrade)
_DATA_TRADE = msgspec.json.Decoder(_DataTrade)
_PAGE = msgspec.json.Decoder(_Page)
_POSITION = msgspec.json.Decoder(_Position)


def decode_frame(frame: bytes) -> tuple[str, TradeRow]:
    """Return a frame of the feed: its type (one of TYPES) and its row.

    Raises:
        RowError: the frame is not such a row; the reason says in which way.
    """
    envelope = decoded(_ENVELOPE, frame)
    if envelope.topic != TOPIC or envelope.type not in TYPES:
        raise RowError("unknown_topic", f"{envelope.topic[:40]}/{envelope.type[:40]}")
    return envelope.type, _row(decoded(_FEED_TRADE, envelope.payload))


def decode_data_row(body: bytes | msgspec.Raw) -> TradeRow:
    """Return one object of the Data API's trades. Raises RowError."""
    return _row(decoded(_DATA_TRADE, body))


def decode_page(body: bytes) -> tuple[list[msgspec.Raw], str | None]:
    """Return a page of the Data API: its rows, undecoded, and the cursor of the next page if any.

    Raises:
        RowError: the body is no page.
    """
    page = decoded(_PAGE, body)
    more = page.pagination.next_cursor if page.pagination.has_more else None
    return page.data, more or None


def decode_position(body: bytes | msgspec.Raw) -> tuple[str, Position]:
    """Return one position and its asset; shares are rounded half-even. Raises RowError."""
    position = decoded(_POSITION, body)
    try:
        size = numbers.rounded("current_size", numbers.text(position.current_size))
        condition = ids.hash32(position.condition_id) if position.condition_id else ""
        return ids.asset(position.token_id), Position(size, condition)
    except numbers.NumberError as error:
        raise RowError("bad_number", str(error)) from None
    except ids.IdError as error:
        raise RowError("bad_id", str(error)) from None


def decoded(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Return a body by its decoder. Raises RowError."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RowError("malformed", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RowError("not_json", str(error)) from None


def _row(trade: _DataTrade | _FeedTrade) -> TradeRow:
    try:
        price_text = numbers.text(trade.price)
        price_micros = numbers.rounded("price", price_text)
        size_micros = numbers.exact("size", numbers.text(trade.size))
        traded_ms = numbers.epoch_ms("timestamp", numbers.text(trade.timestamp))
    except numbers.NumberError as error:
        raise RowError("bad_number", str(error)) from None
    if not 0 < size_micros <= MAX_SHARES_MICROS:
        raise RowError("bad_number", "size is out of range")
    if price_micros > 1_000_000:
        raise RowError("bad_number", "price is above 1")
    try:
        return TradeRow(
            tx=ids.hash32(trade.transaction_hash),
            leader=ids.wallet(trade.proxy_wallet),
            asset_id=ids.asset(trade.asset),
            condition_id=ids.hash32(trade.condition_id),
            side=trade.side,
            # Rows are told apart by it: two topics may spell one price in two ways.
            price_text=numbers.canonical(price_text),
            price_micros=price_micros,
            size_micros=size_micros,
            traded_ms=traded_ms,
            title=(trade.title or "")[:TEXT_MAX],
            outcome=(trade.outcome or "")[:TEXT_MAX],
        )
    except ids.IdError as error:
        raise RowError("bad_id", str(error)) from None
