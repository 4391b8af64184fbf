"""Markets as the CLOB and Gamma describe them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tradingtools.venues.polymarket.instruments import (
    MarketError,
    decode_clob_market,
    decode_condition,
    decode_gamma_markets,
)

CLOB: dict[str, Any] = {
    "gst": None, "r": None, "t": [{"t": "7", "o": "Yes"}, {"t": "8", "o": "No"}], "mos": 5,
    "mts": 0.001, "mbf": 0, "tbf": 0, "fd": {"r": 0.05, "e": 1, "to": True},
}  # fmt: skip
GAMMA: dict[str, Any] = {
    "conditionId": "0xAB", "version": "v1", "question": "Will it?", "category": "Sports",
    "endDate": "2026-11-21T00:00:00Z", "outcomes": '["Yes","No"]', "outcomePrices": '["1","0"]',
    "clobTokenIds": '["7","8"]', "closed": False, "negRisk": True, "feesEnabled": True,
    "feeSchedule": {"rate": 0.04}, "umaResolutionStatus": None,
}  # fmt: skip


def gamma(**changes: Any) -> Any:
    (market,) = decode_gamma_markets(json.dumps([GAMMA | changes]).encode())
    return market


def test_the_clobs_rules_are_exact() -> None:
    market = decode_clob_market(json.dumps(CLOB).encode())
    assert (market.tick_micros, market.min_size_micros) == (1_000, 5_000_000)
    assert market.fee_rate_micros == 50_000
    assert market.outcomes == {"7": "Yes", "8": "No"}


def test_a_fee_that_is_not_said_is_absent_and_not_zero() -> None:
    assert decode_clob_market(json.dumps(CLOB | {"fd": None}).encode()).fee_rate_micros is None
    free = decode_clob_market(json.dumps(CLOB | {"fd": {"r": 0}}).encode())
    assert free.fee_rate_micros == 0


@pytest.mark.parametrize("changes", [{"mts": 0}, {"mts": -1}, {"mts": "x"}, {"mos": None}])
def test_rules_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MarketError):
        decode_clob_market(json.dumps(CLOB | changes).encode())


def test_gammas_arrays_are_json_inside_strings() -> None:
    market = gamma()
    assert market.outcomes == {"7": "Yes", "8": "No"}
    assert (market.title, market.category, market.neg_risk) == ("Will it?", "sports", True)
    assert market.end_ms == 1_795_219_200_000
    assert market.payouts == {}


def test_payouts_exist_only_after_the_resolution_and_may_be_fractions() -> None:
    halves = gamma(umaResolutionStatus="resolved", outcomePrices='["0.5","0.5"]', closed=True)
    assert halves.payouts == {"7": 500_000, "8": 500_000}
    assert halves.closed


def test_the_second_version_names_its_assets_elsewhere() -> None:
    second = {"version": "v2", "positionIds": ["9", "10"], "outcomePrices": '["1","0"]'}
    assert gamma(**second).outcomes == {"9": "Yes", "10": "No"}
    # Its resolution, too: it knows no optimistic oracle.
    assert gamma(**second).payouts == {}
    assert gamma(**second, resolutionStatus="resolved").payouts == {"9": 1_000_000, "10": 0}


def test_a_version_that_nobody_knows_has_no_assets() -> None:
    assert gamma(version="v3").outcomes == {}


def test_the_category_falls_back_to_the_fee_type_and_then_to_other() -> None:
    assert gamma(category=None, feeType="crypto_fees_v3").category == "crypto"
    assert gamma(category=None).category == "other"


def test_an_end_that_cannot_be_read_is_unknown() -> None:
    assert gamma(endDate="soon").end_ms is None
    assert gamma(endDate=None).end_ms is None


def test_the_condition_of_an_asset_is_read_in_lower_case() -> None:
    assert decode_condition(b'{"condition_id":"0xAB","primary_token_id":"7"}') == "0xab"
    with pytest.raises(MarketError):
        decode_condition(b"[]")
