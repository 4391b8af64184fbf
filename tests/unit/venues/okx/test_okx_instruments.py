"""Instruments of all kinds, as OKX lists them."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.okx.samples import FUTURE, INVERSE, SPOT, SWAP, instrument, listed
from tradingtools.domain.instrument import InstrumentKind, TradingPhase
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.instruments import (
    TierRow,
    UnsupportedInstrument,
    max_leverage,
    tiers,
)
from tradingtools.venues.okx.market_frames import change_of


@pytest.mark.parametrize(
    ("fields", "kind", "currencies", "contract", "inverse", "ends_ms", "code"),
    [
        (SPOT, InstrumentKind.SPOT, "BTC USDT USDT", "1", False, None, 10001),
        (SWAP, InstrumentKind.SWAP, "BTC USDT USDT", "0.01", False, None, 10002),
        (INVERSE, InstrumentKind.SWAP, "BTC USD BTC", "100", True, None, 10003),
        (FUTURE, InstrumentKind.FUTURE, "BTC USD BTC", "100", True, 1806048000000, None),
    ],
)
def test_each_kind_has_its_units_and_currencies(
    fields: dict[str, object],
    kind: InstrumentKind,
    currencies: str,
    contract: str,
    inverse: bool,
    ends_ms: int | None,
    code: int | None,
) -> None:
    one = listed(fields)

    of = one.instrument
    assert (of.id, of.kind) == (f"okx:{fields['instId']}", kind)
    assert f"{of.base} {of.quote} {of.settle}" == currencies
    assert of.inverse is inverse
    assert (str(of.contract), of.ends_ms, one.code) == (contract, ends_ms, code)
    assert of.price_text(of.tick_size) == fields["tickSz"]
    assert Decimal(of.size_text(of.lot_size)) == Decimal(str(fields["lotSz"]))
    assert Decimal(of.size_text(of.minimum_size)) == Decimal(str(fields["minSz"]))
    assert of.phase is TradingPhase.OPEN


def test_worth_of_a_contract_follows_value_and_multiplier() -> None:
    of = instrument({**SWAP, "ctVal": "0.001", "ctMult": "10"})

    worth = of.notional(of.price_of("50000"), of.size_of("3"), up=False)

    assert of.money_text(worth) == "1500"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instType": "OPTION", "instId": "BTC-USD-270326-90000-C"}, "90000-C is of type OPTION"),
        ({"instType": "MARGIN"}, "type MARGIN"),
        ({"state": "test"}, "state test"),
        ({"ctValCcy": "USDT"}, "valued in 'USDT'"),
        ({"ctType": ""}, "ctType"),
        ({"ctVal": "0"}, "ctVal is not above zero"),
        ({"tickSz": ""}, "tickSz"),
        ({"lever": ""}, "lever"),
        ({"uly": "BTC"}, "uly"),
    ],
)
def test_what_cannot_be_traded_is_refused_by_name(change: dict[str, str], said: str) -> None:
    with pytest.raises(UnsupportedInstrument, match=said):
        listed({**SWAP, **change})


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("live", TradingPhase.OPEN),
        ("post_only", TradingPhase.POST_ONLY),
        ("suspend", TradingPhase.SUSPENDED),
        ("preopen", TradingPhase.SUSPENDED),
        ("expired", TradingPhase.ENDED),
    ],
)
def test_states_are_phases(state: str, phase: TradingPhase) -> None:
    assert instrument({**SWAP, "state": state}).phase is phase


@pytest.mark.parametrize(
    ("fields", "change", "cause"),
    [
        (SWAP, {"tickSz": "0.01"}, "tick_change"),
        (SWAP, {"state": "suspend"}, "suspension"),
        (SWAP, {"state": "suspend", "expTime": "1806048000000"}, "delisting"),
        (SWAP, {"expTime": "1806048000000"}, "delisting"),
        ({**SWAP, "state": "suspend"}, {"state": "live"}, "restart"),
        (FUTURE, {"state": "expired"}, "expiry"),
        (SWAP, {}, None),
    ],
)
def test_a_row_that_changes_says_why(
    fields: dict[str, object], change: dict[str, str], cause: str | None
) -> None:
    reported = change_of(instrument(fields), instrument({**fields, **change}), 7)

    assert (reported.cause if reported is not None else None) == cause


def test_a_finer_tick_leaves_integers_their_meaning() -> None:
    before, after = instrument(SWAP), instrument({**SWAP, "tickSz": "0.001"})

    assert before.price_of("64250.5") == after.price_of("64250.5")


def test_leverage_is_capped_by_the_tier_of_the_size() -> None:
    rows = [
        {
            "tier": "2",
            "minSz": "50",
            "maxSz": "200",
            "mmr": "0.01",
            "imr": "0.02",
            "maxLever": "50",
        },
        {
            "tier": "1",
            "minSz": "0",
            "maxSz": "50",
            "mmr": "0.004",
            "imr": "0.01",
            "maxLever": "100",
        },
    ]
    found = tiers(msgspec.convert(rows, list[TierRow]))

    assert [one.number for one in found] == [1, 2]
    assert max_leverage(found, Decimal(50)) == 100
    assert max_leverage(found, Decimal("50.1")) == 50
    assert max_leverage(found, Decimal(201)) is None


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=8), st.integers(8, 12))
def test_text_becomes_exact_integers(value: Decimal, scale: int) -> None:
    assert numbers.scaled("x", f"{value:f}", scale) == value * 10**scale


@pytest.mark.parametrize(
    "text", ["", " 1", "1_0", "nan", "0.123456789", "x", "1." + "0" * 70, "1e40"]
)
def test_what_is_no_number_at_the_scale_is_refused(text: str) -> None:
    with pytest.raises(numbers.NumberError, match="size"):
        numbers.scaled("size", text, 8)
