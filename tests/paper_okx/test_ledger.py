"""Test that no unit of money is made or lost, whatever traders, prices and liquidations do."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.paper_okx.crowd import CURRENCIES, Crowd


def judge(crowd: Crowd) -> None:
    """Cash, positions, fees, funding and insurance are what was put in, at any marks."""
    world = crowd.at.world
    marks = {name: crowd._price(of, 400) for name, of in world.instruments.items()}
    for currency in CURRENCIES:
        for at in (world.marks, marks):
            assert world.ledger.total(currency, at) == world.ledger.put_in[currency]
    for account in world.ledger.accounts.values():
        for currency in CURRENCIES:
            crossed = any(
                p.lots and p.mode == "cross" and p.instrument.settle == currency
                for p in account.positions.values()
            )
            assert crossed or account.cash[currency] >= 0
        for position in account.positions.values():
            assert position.lots or (position.cost == 0 and position.margin == 0)


def live(seed: int, steps: int) -> Crowd:
    crowd = Crowd(seed)
    for _ in range(steps):
        crowd.step()
        judge(crowd)
    for inst_id in list(crowd.at.world.instruments):
        crowd.at.set_state(inst_id, "expired", crowd.now_ms)
        judge(crowd)
    assert not crowd.at.world.orders
    assert not any(
        position.lots
        for account in crowd.at.world.ledger.accounts.values()
        for position in account.positions.values()
    )
    return crowd


@settings(max_examples=10, deadline=None)
@example(65_535)  # a market order that went deeper than the price it was counted by
@given(st.integers(0, 2**32))
def test_money_is_conserved_to_the_last_unit(seed: int) -> None:
    live(seed, 80)


def test_the_random_traders_meet_what_they_are_for() -> None:
    """Among a few seeds there are fills, liquidations in steps and whole, funding, refusals."""
    found = [live(seed, 150) for seed in range(4)]
    reasons = {code for crowd in found for code in crowd.refused}
    assert {"51008", "51169"} <= reasons
    bills = {
        bill.kind for crowd in found for bills in crowd.at.world.bills.values() for bill in bills
    }
    assert {"1", "2", "3", "5", "8"} <= bills
    assert any(crowd.liquidated for crowd in found)
    assert any(crowd.at.world.ledger.insurance["USDT"] for crowd in found)


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32))
def test_money_is_conserved_to_the_last_unit_for_long(seed: int) -> None:
    live(seed, 300)
