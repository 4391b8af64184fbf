"""Test margin, average and liquidation prices against OKX's formulas, computed here by fractions.

The formulas are those of OKX's help centre: "Futures mode: cross margin trading", "Isolated margin
mode" and "Tiered maintenance margin ratio rules" (USDT-margined and crypto-margined contracts).
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paper.okx import listing
from paper.okx.core import funds
from paper.okx.core.amounts import ONE, exact, ratio, show
from paper.okx.core.exchange import Exchange
from paper.okx.core.instruments import Instrument
from paper.okx.core.ledger import Account
from paper.okx.core.margin import bankruptcy_price, liquidation_price
from paper.okx.core.orders import OrderRequest
from tests.paper_okx.crowd import START_MS, exchange

LINEAR, INVERSE = "BTC-USDT-SWAP", "BTC-USD-SWAP"
TAKER = Fraction(5, 10_000)
NEAR = Fraction(1, 10**12)


def opened(
    inst_id: str, side: str, contracts: str, price: str, mode: str, leverage: int = 10
) -> tuple[Exchange, Account, Instrument]:
    """An account that has traded so many contracts at a price with the market."""
    at = exchange("ann", cash=10_000_000)
    at.deposit("ann", "BTC", 1_000 * ONE, START_MS)
    of = at.world.instruments[inst_id]
    at.mark(inst_id, of.ticks(price), START_MS)
    at.set_leverage("ann", inst_id, mode, leverage, START_MS)
    other = "sell" if side == "buy" else "buy"
    at.market_level(inst_id, other, of.ticks(price), 10**12, START_MS)  # type: ignore[arg-type]
    request = OrderRequest(
        inst_id=inst_id, td_mode=mode, side=side, ord_type="market", sz=contracts
    )
    at.place("ann", request, START_MS)
    return at, at.world.account("ann"), of


def close(amount: int, expected: Fraction) -> bool:
    return abs(Fraction(amount, ONE) - expected) <= NEAR * max(Fraction(1), abs(expected))


CASES = st.tuples(
    st.sampled_from([LINEAR, INVERSE]),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 9_000),
    st.integers(10_000, 90_000),
    st.sampled_from([2, 3, 10, 20, 50]),
)


@settings(max_examples=40, deadline=None)
@example(("BTC-USD-SWAP", "buy", 7, 22_500, 2))
@given(CASES)
def test_an_isolated_position_is_liquidated_where_okx_says(
    case: tuple[str, str, int, int, int],
) -> None:
    inst_id, side, contracts, entry, leverage = case
    at, account, of = opened(inst_id, side, str(contracts), str(entry), "isolated", leverage)
    position = account.positions[inst_id, "isolated"]
    face, q, p = Fraction(of.contract, ONE), Fraction(contracts), Fraction(entry)
    need = funds.need(account, position, of.ticks(str(entry)), at.world.tiers[inst_id])
    mmr = Fraction(need.tier.maintenance_ppm, 10**6)
    long = side == "buy"
    if of.inverse:
        margin = face * q / p / leverage
        expected = (
            face * q * (mmr + TAKER + 1) / (margin + face * q / p)
            if long
            else face * q * (mmr + TAKER - 1) / (margin - face * q / p)
        )
    else:
        margin = face * q * p / leverage
        expected = (
            (margin - face * q * p) / (face * q * (mmr + TAKER - 1))
            if long
            else (margin + face * q * p) / (face * q * (mmr + TAKER + 1))
        )
    assert close(position.margin, margin)
    assert close(position.average(), p)
    found = liquidation_price(
        position, position.margin, maintenance_ppm=need.tier.maintenance_ppm, taker_ppm=500
    )
    tick = Fraction(of.tick, ONE)
    assert found is not None
    assert abs(found * tick - expected) <= tick
    # The exchange does it at that price, and not a tick before.
    at.mark(inst_id, found + (1 if long else -1), START_MS)
    assert position.lots
    if need.tier.number < 3:
        # A lot's worth is rounded, so where the price is whole it may be the next tick.
        at.mark(inst_id, found - (2 if long else -2), START_MS)
        assert not position.lots


@settings(max_examples=25, deadline=None)
@given(CASES)
def test_a_cross_pool_is_counted_as_okx_says(case: tuple[str, str, int, int, int]) -> None:
    inst_id, side, contracts, entry, leverage = case
    at, account, of = opened(inst_id, side, str(contracts), str(entry), "cross", leverage)
    mark = Fraction(entry * 98 // 100)
    before = account.cash[of.settle]
    at.mark(inst_id, of.ticks(show(int(mark * ONE))), START_MS)
    position = account.positions[inst_id, "cross"]
    face, q = Fraction(of.contract, ONE), Fraction(contracts if side == "buy" else -contracts)
    if of.inverse:
        gain, notional = face * q * (1 / Fraction(entry) - 1 / mark), face * abs(q) / mark
    else:
        gain, notional = face * q * (mark - entry), face * abs(q) * mark
    need = funds.need(account, position, at.world.marks[inst_id], at.world.tiers[inst_id])
    mmr = Fraction(need.tier.maintenance_ppm, 10**6)
    assert close(position.gain(at.world.marks[inst_id]), gain)
    assert close(need.initial, notional / leverage)
    assert close(need.maintenance, notional * mmr)
    assert close(need.closing, notional * TAKER)
    counted, demanded = funds.pool_margin(account, [], of.settle, at.world.marks, at.world.tiers)
    expected = (Fraction(before, ONE) + gain) / (notional * (mmr + TAKER))
    assert abs(Fraction(exact(ratio(counted, demanded)), ONE) - expected) <= expected * NEAR * 10
    free = funds.available(account, [], of.settle, at.world.marks)
    assert close(free, Fraction(before, ONE) + gain - notional / leverage)


def test_bankruptcy_is_where_margin_and_loss_meet() -> None:
    _, account, of = opened(LINEAR, "buy", "10", "50000", "isolated", 10)
    position = account.positions[LINEAR, "isolated"]
    price = bankruptcy_price(position, position.margin)
    assert price is not None
    assert of.price_text(price) == "45000"
    assert position.margin + position.gain(price) == 0


def test_tiers_are_those_of_the_data() -> None:
    listed = listing.instruments(START_MS)
    tiers = listing.tiers(listed)
    for bands in tiers.values():
        assert [tier.number for tier in bands] == list(range(1, len(bands) + 1))
        assert all(a.most == b.least for a, b in pairwise(bands))
        assert all(a.maintenance_ppm < b.maintenance_ppm for a, b in pairwise(bands))
        assert all(tier.maintenance_ppm < tier.initial_ppm for tier in bands)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-25", "2026-12-25T08:00:00+00:00"),
        ("2026-12-20", "2027-03-26T08:00:00+00:00"),
        ("2026-01-01", "2026-03-27T08:00:00+00:00"),
    ],
)
def test_dated_contracts_end_on_the_last_friday_of_a_quarter(now: str, end: str) -> None:
    at = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp() * 1000)
    assert listing.quarter_end(at).isoformat() == end


def test_amounts_are_exact_or_refused() -> None:
    assert exact("94.42612990333333") == 94_426_129_903_333_330_000
    assert show(exact("-0.000000000000000001")) == "-0.000000000000000001"
    assert show(exact("120.50")) == "120.5"
    for wrong in ("", "1e5", "+1", ".5", "1.0000000000000000001", "NaN", "\u0661"):
        with pytest.raises(ValueError, match="decimal"):
            exact(wrong)
