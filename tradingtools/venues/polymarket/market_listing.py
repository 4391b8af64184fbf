"""Pages of Gamma's list of markets: of those that take orders, what an order has to respect. Pure.

Gamma's ``/markets/keyset`` gives a hundred at a time and a cursor. A market that cannot be read, or
does not say what an order needs, costs nobody but itself. Before: `clob_api`. After: bookfeed's
catalogue.
"""

from __future__ import annotations

import sys

import msgspec

from tradingtools.domain import money
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.instruments import (
    UNREADABLE,
    MarketError,
    Schedule,
    assets_of,
    category_of,
    fee_rate_of,
    instant_ms,
    strings,
)


class ListedMarket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One market that takes orders. Amounts in micros."""

    condition_id: str
    assets: tuple[str, ...]
    tick_micros: int
    min_size_micros: int
    fee_rate_micros: int | None
    """None: it is not said."""
    end_ms: int | None
    category: str
    neg_risk: bool
    title: str
    outcomes: tuple[str, ...]
    traded: int
    """Whole USDC in the last 24 hours, for a ranking."""


class Page(msgspec.Struct, frozen=True):
    """A part of the list."""

    markets: tuple[ListedMarket, ...]
    rows: int
    """Markets of it, those that take no orders included."""
    unreadable: int
    """Those that could not be read."""
    why: str
    """The first of them."""
    next_cursor: str
    """Empty: it is the last one."""


class _Page(msgspec.Struct, frozen=True):
    markets: list[msgspec.Raw]
    next_cursor: str | None = None


class _Market(msgspec.Struct, frozen=True, rename="camel"):
    condition_id: str
    closed: bool | None = None
    active: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    order_price_min_tick_size: msgspec.Raw = msgspec.Raw(b"null")
    order_min_size: msgspec.Raw = msgspec.Raw(b"null")
    clob_token_ids: str | None = None
    position_ids: list[str] | None = None
    version: str | None = None
    fees_enabled: bool | None = None
    fee_schedule: Schedule | None = None
    fee_type: str | None = None
    category: str | None = None
    end_date: str | None = None
    neg_risk: bool | None = None
    question: str | None = None
    outcomes: str | None = None
    volume24hr: float | str | None = None


_PAGE = msgspec.json.Decoder(_Page)
_MARKET = msgspec.json.Decoder(_Market)


def decode_page(body: bytes) -> Page:
    """Return an answer of ``/markets/keyset``. Raises MarketError when it is none."""
    try:
        page = _PAGE.decode(body)
    except UNREADABLE as error:
        raise MarketError(str(error)) from None
    found, unreadable, why = [], 0, ""
    for raw in page.markets:
        try:
            market = _MARKET.decode(raw)
            if _takes_orders(market):
                found.append(_listed(market))
        except (*UNREADABLE, MarketError) as error:
            unreadable, why = unreadable + 1, why or str(error)
    return Page(tuple(found), len(page.markets), unreadable, why, page.next_cursor or "")


def _takes_orders(market: _Market) -> bool:
    refused = market.closed or not market.accepting_orders
    return not refused and market.active is not False and market.enable_order_book is not False


def _listed(market: _Market) -> ListedMarket:
    tick = numbers.exact("orderPriceMinTickSize", numbers.text(market.order_price_min_tick_size))
    if not 0 < tick < money.MICROS:
        raise MarketError("orderPriceMinTickSize is out of range")
    return ListedMarket(
        condition_id=market.condition_id.lower(),
        assets=tuple(assets_of(market.version, market.clob_token_ids, market.position_ids)),
        tick_micros=tick,
        min_size_micros=numbers.exact("orderMinSize", numbers.text(market.order_min_size)),
        fee_rate_micros=fee_rate_of(market.fees_enabled, market.fee_schedule),
        end_ms=instant_ms(market.end_date),
        # Few words that are said by tens of thousands are kept once.
        category=sys.intern(category_of(market.category, market.fee_type)),
        title=market.question or "",
        outcomes=tuple(map(sys.intern, strings(market.outcomes))),
        neg_risk=bool(market.neg_risk),
        traded=_whole(market.volume24hr),
    )


def _whole(written: float | str | None) -> int:
    try:
        return max(int(float(written or 0)), 0)
    except (ValueError, OverflowError):
        return 0
