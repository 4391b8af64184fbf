"""The JSON of insiders-api, read strictly: what does not fit the contract says nothing.

`docs/insiders-api.yaml` is the contract.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradingtools.domain.money import AmountError, parse_exact
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade
from tradingtools.venues.ports import Capabilities

BODY_LIMIT_BYTES = 256 * 1024
DEFINITIVE_REJECTIONS = frozenset(
    {
        "INVALID_REQUEST",
        "MIN_SIZE",
        "TICK_SIZE",
        "PRICE_RANGE",
        "INSUFFICIENT_BALANCE",
        "MARKET_CLOSED",
        "MARKET_UNKNOWN",
        "TOO_LATE",
        "VOIDED",
        "CLOSED_ONLY",
        "FORBIDDEN",
    }
)
"""Codes after which nothing was or will be executed for the request."""


class WireError(ValueError):
    """The bytes are not what the contract says."""


# Printable: what is stored later must be something that a database can store.
_Token = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[!-~]*\Z")]
_TokenOrNone = Annotated[str, Meta(max_length=128, pattern=r"\A[!-~]*\Z")]
_Milliseconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class _Trade(msgspec.Struct, rename="camel", frozen=True):
    trade_id: _Token
    size: str
    notional: str
    fee: str
    status: TradeStatus


class _Order(msgspec.Struct, rename="camel", frozen=True):
    idempotency_key: _Token
    status: _Token
    closed: bool
    order_id: _TokenOrNone = ""
    trades: tuple[_Trade, ...] = ()
    side: _TokenOrNone = ""
    asset_id: _TokenOrNone = ""
    follower_proxy: _TokenOrNone = ""
    size: str | None = None


class _ErrorBody(msgspec.Struct, rename="camel", frozen=True):
    code: _Token
    message: str
    retry_after_ms: _Milliseconds | None = None


class _Error(msgspec.Struct, frozen=True):
    error: _ErrorBody


class _KeyUsed(msgspec.Struct, frozen=True):
    order: msgspec.Raw


class _Capabilities(msgspec.Struct, rename="camel", frozen=True):
    idempotency: bool
    not_after: bool
    get_by_key: bool
    void: bool
    longest_processing_ms: _Milliseconds


_orders = msgspec.json.Decoder(_Order)
_errors = msgspec.json.Decoder(_Error)
_keys_used = msgspec.json.Decoder(_KeyUsed)
_capabilities = msgspec.json.Decoder(_Capabilities)
# A body that is nested too deeply ends in a RecursionError.
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse_order(body: bytes) -> VenueOrder:
    """Read an order resource.

    Raises:
        WireError: malformed, or an amount that is not exact.
    """
    if len(body) > BODY_LIMIT_BYTES:
        raise WireError("body too large")
    try:
        raw = _orders.decode(body)
        trades = tuple(
            VenueTrade(
                trade_id=trade.trade_id,
                size_micros=_positive(trade.size),
                notional_micros=_positive(trade.notional),
                fee_micros=_positive(trade.fee),
                status=trade.status,
            )
            for trade in raw.trades
        )
        size = None if raw.size is None else _positive(raw.size)
    except (*_MALFORMED, AmountError) as error:
        raise WireError(str(error)) from error
    return VenueOrder(
        order_key=raw.idempotency_key,
        order_id=raw.order_id,
        status=raw.status,
        closed=raw.closed,
        trades=trades,
        side=raw.side,
        asset_id=raw.asset_id,
        follower_proxy=raw.follower_proxy.lower(),
        size_micros=size,
    )


def parse_key_used(body: bytes) -> VenueOrder:
    """Read the order that a refused void names beside its error. Raises WireError."""
    try:
        raw = _keys_used.decode(body)
    except _MALFORMED as error:
        raise WireError(str(error)) from error
    return parse_order(bytes(raw.order))


def _positive(text: str) -> int:
    value = parse_exact(text)
    if value < 0:
        raise AmountError("is negative")
    return value


def parse_error(body: bytes) -> tuple[str, int | None] | None:
    """Code and retry-after (ms) of an error in insiders-api's own schema; None: not of it."""
    try:
        raw = _errors.decode(body)
    except _MALFORMED:
        return None
    return raw.error.code, raw.error.retry_after_ms


def parse_capabilities(body: bytes) -> Capabilities:
    """Read the capabilities. Raises WireError."""
    try:
        raw = _capabilities.decode(body)
    except _MALFORMED as error:
        raise WireError(str(error)) from error
    return Capabilities(
        raw.idempotency, raw.not_after, raw.get_by_key, raw.void, raw.longest_processing_ms
    )
