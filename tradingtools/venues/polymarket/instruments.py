"""The rules of a market for an order, put together from the CLOB's and Gamma's answers. Pure.

The CLOB knows the rules (tick, smallest order, fee), Gamma what the market is about, when it ends
and what it paid. Some of Gamma's arrays are JSON inside a string.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from tradingtools.domain import money
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.numbers import NumberError

HIGHEST_FEE_RATE_MICROS = 70_000
"""The dearest category of the venue's table (crypto), for a market that does not say its rate."""

_UNLABELLED = "other"


class MarketError(ValueError):
    """An answer about a market that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClobMarket:
    """The CLOB's parameters; amounts 1e-6. ``fee_rate_micros`` is None when it is not said."""

    tick_micros: int
    min_size_micros: int
    fee_rate_micros: int | None
    outcomes: dict[str, str]
    game_start_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaMarket:
    """Gamma's facts about a market; ``payouts`` by asset, 1e-6 a share, empty until it resolved."""

    condition_id: str
    title: str
    category: str
    closed: bool
    end_ms: int | None
    neg_risk: bool
    fee_rate_micros: int | None
    outcomes: dict[str, str]
    payouts: dict[str, int]


class _Fee(msgspec.Struct, frozen=True):
    r: msgspec.Raw = msgspec.Raw(b"null")


class _Token(msgspec.Struct, frozen=True):
    t: str
    o: str = ""


class _Clob(msgspec.Struct, frozen=True, kw_only=True):
    mts: msgspec.Raw
    gst: msgspec.Raw = msgspec.Raw(b"null")
    mos: msgspec.Raw
    t: list[_Token] = []
    fd: _Fee | None = None


class _ByToken(msgspec.Struct, frozen=True):
    condition_id: str


class Schedule(msgspec.Struct, frozen=True):
    """Gamma's fees of a market, as far as they are used."""

    rate: msgspec.Raw = msgspec.Raw(b"null")


class _Gamma(msgspec.Struct, frozen=True, rename="camel"):
    condition_id: str
    question: str | None = None
    category: str | None = None
    fee_type: str | None = None
    end_date: str | None = None
    closed: bool | None = None
    neg_risk: bool | None = None
    outcomes: str | None = None
    outcome_prices: str | None = None
    clob_token_ids: str | None = None
    position_ids: list[str] | None = None
    version: str | None = None
    fees_enabled: bool | None = None
    fee_schedule: Schedule | None = None
    uma_resolution_status: str | None = None
    resolution_status: str | None = None


_CLOB = msgspec.json.Decoder(_Clob)
_BY_TOKEN = msgspec.json.Decoder(_ByToken)
_GAMMA = msgspec.json.Decoder(list[_Gamma])
_STRINGS = msgspec.json.Decoder(list[str])
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NumberError)


def decode_condition(body: bytes) -> str:
    """Return the condition of ``/markets-by-token``. Raises MarketError."""
    try:
        return _BY_TOKEN.decode(body).condition_id.lower()
    except UNREADABLE as error:
        raise MarketError(str(error)) from None


def decode_clob_market(body: bytes) -> ClobMarket:
    """Return the answer of ``/clob-markets``. Raises MarketError."""
    try:
        market = _CLOB.decode(body)
        tick = numbers.exact("mts", numbers.text(market.mts))
        least = numbers.exact("mos", numbers.text(market.mos))
        rate = None if market.fd is None else _rate("fd.r", market.fd.r)
    except UNREADABLE as error:
        raise MarketError(str(error)) from None
    if not 0 < tick < money.MICROS:
        raise MarketError("mts is out of range")
    return ClobMarket(
        tick_micros=tick,
        min_size_micros=least,
        fee_rate_micros=rate,
        outcomes={token.t: token.o for token in market.t},
        game_start_ms=_game_start(market.gst),
    )


def _game_start(raw: msgspec.Raw) -> int | None:
    """Return an instant that is written as ISO or as a number; None: there is none to be read."""
    text = numbers.text(raw)
    if "T" in text:
        return instant_ms(text)
    try:
        return numbers.epoch_ms("gst", text) or None
    except NumberError:
        return None


def decode_gamma_markets(body: bytes) -> list[GammaMarket]:
    """Return the answer of Gamma's ``/markets``. Raises MarketError."""
    try:
        return [_gamma(market) for market in _GAMMA.decode(body)]
    except UNREADABLE as error:
        raise MarketError(str(error)) from None


def _gamma(market: _Gamma) -> GammaMarket:
    assets = assets_of(market.version, market.clob_token_ids, market.position_ids)
    status = market.resolution_status if market.version == "v2" else market.uma_resolution_status
    prices = strings(market.outcome_prices) if status == "resolved" else []
    return GammaMarket(
        condition_id=market.condition_id.lower(),
        title=market.question or "",
        category=category_of(market.category, market.fee_type),
        closed=bool(market.closed),
        end_ms=instant_ms(market.end_date),
        neg_risk=bool(market.neg_risk),
        fee_rate_micros=fee_rate_of(market.fees_enabled, market.fee_schedule),
        outcomes=dict(zip(assets, strings(market.outcomes), strict=False)),
        payouts={
            asset: numbers.price("outcome price", price)
            for asset, price in zip(assets, prices, strict=False)
        },
    )


def assets_of(
    version: str | None, clob_token_ids: str | None, position_ids: list[str] | None
) -> list[str]:
    """Of each outcome, by the version of the protocol; a version that we do not know has none."""
    match version:
        case "v2":
            return position_ids or []
        case None | "v1":
            return strings(clob_token_ids)
        case _:
            return []


def fee_rate_of(enabled: bool | None, schedule: Schedule | None) -> int | None:
    """Gamma's taker rate, micros; None: it is not said. Raises NumberError."""
    if enabled is False:
        return 0
    return None if schedule is None else _rate("rate", schedule.rate)


def category_of(category: str | None, fee_type: str | None) -> str:
    """Return a market's category, lower case; its fee schedule names it where nothing else does."""
    if category:
        return category.lower()
    if fee_type:
        return fee_type.lower().partition("_")[0]
    return _UNLABELLED


def strings(inside: str | None) -> list[str]:
    """Return a list that Gamma writes as JSON within a string."""
    return _STRINGS.decode(inside) if inside else []


def _rate(name: str, raw: msgspec.Raw) -> int | None:
    text = numbers.text(raw)
    return None if text in ("null", "") else numbers.price(name, text)


def instant_ms(text: str | None) -> int | None:
    """Milliseconds since the epoch; an end that cannot be read is an unknown end."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    since = instant - datetime.fromtimestamp(0, UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
