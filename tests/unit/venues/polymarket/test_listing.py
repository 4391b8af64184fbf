"""Gamma's list of markets: what takes orders, and what cannot be read costs itself alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tradingtools.venues.polymarket.instruments import MarketError
from tradingtools.venues.polymarket.market_listing import ListedMarket, decode_page

MARKET: dict[str, Any] = {
    "id": "1", "version": "v1", "question": "Will it rain?", "conditionId": "0x" + "AB" * 32,
    "category": None, "endDate": "2026-12-01T00:00:00Z", "outcomes": '["Yes", "No"]',
    "outcomePrices": '["0.4", "0.6"]', "clobTokenIds": '["71", "72"]', "positionIds": [],
    "active": True, "closed": False, "acceptingOrders": True, "enableOrderBook": True,
    "negRisk": True, "orderPriceMinTickSize": 0.001, "orderMinSize": 5, "feesEnabled": True,
    "feeType": "sports_fees_v3", "feeSchedule": {"exponent": 1, "rate": 0.05, "takerOnly": True},
    "volume24hr": 1234.56789012,
}  # fmt: skip


def page(*markets: Any, cursor: Any = "next") -> bytes:
    return msgspec.json.encode({"markets": markets, "next_cursor": cursor})


def listed(**changed: Any) -> tuple[ListedMarket, ...]:
    return decode_page(page({**MARKET, **changed})).markets


def test_a_market_is_listed_with_what_an_order_has_to_respect() -> None:
    found = decode_page(page(MARKET))
    assert found.markets == (
        ListedMarket(
            condition_id="0x" + "ab" * 32,
            assets=("71", "72"),
            tick_micros=1_000,
            min_size_micros=5_000_000,
            fee_rate_micros=50_000,
            end_ms=1_796_083_200_000,
            category="sports",
            neg_risk=True,
            title="Will it rain?",
            outcomes=("Yes", "No"),
            traded=1234,
        ),
    )
    assert (found.unreadable, found.next_cursor) == (0, "next")


@pytest.mark.parametrize(
    "changed",
    [
        {"closed": True}, {"active": False}, {"acceptingOrders": False},
        {"acceptingOrders": None}, {"enableOrderBook": False},
    ],
)  # fmt: skip
def test_what_takes_no_orders_is_not_listed_and_no_fault(changed: dict[str, Any]) -> None:
    found = decode_page(page({**MARKET, **changed}))
    assert found.markets == ()
    assert found.unreadable == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"orderPriceMinTickSize": None}, {"orderPriceMinTickSize": 0}, {"orderMinSize": "much"},
        {"conditionId": None}, {"clobTokenIds": "71"}, {"feeSchedule": {"rate": "2"}},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_counted_and_costs_no_other(changed: dict[str, Any]) -> None:
    found = decode_page(page({**MARKET, **changed}, MARKET, 7))
    assert len(found.markets) == 1
    assert found.unreadable == 2


def test_a_fee_is_none_unknown_or_said() -> None:
    assert listed(feesEnabled=False)[0].fee_rate_micros == 0
    assert listed(feeSchedule=None)[0].fee_rate_micros is None
    assert listed(feeSchedule={"rate": "0.07"})[0].fee_rate_micros == 70_000


def test_assets_of_either_version_of_the_protocol() -> None:
    assert listed(version="v2", positionIds=["81", "82"])[0].assets == ("81", "82")
    assert listed(volume24hr=None)[0].traded == 0
    assert listed(volume24hr="12.9")[0].traded == 12


def test_the_last_page_and_what_is_no_page() -> None:
    assert decode_page(page(MARKET, cursor=None)).next_cursor == ""
    for body in (b"[]", b"{", b'{"markets": 1}'):
        with pytest.raises(MarketError):
            decode_page(body)
