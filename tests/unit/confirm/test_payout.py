"""Payouts: the lots of an asset share exactly what its position is paid."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from services.confirm.core.payout import LotHolding, pay

lots = st.lists(
    st.builds(
        LotHolding,
        asset_id=st.sampled_from("12"),
        origin=st.text(max_size=2),
        shares_micros=st.integers(1, 10**13),
        cost_micros=st.integers(0, 10**13),
    ),
    max_size=6,
)


@given(lots, st.integers(0, 1_000_000))
def test_every_position_is_paid_exactly_once_rounded_down(
    held: list[LotHolding], share: int
) -> None:
    payouts = {"1": share, "2": 1_000_000 - share}
    paid = pay(held, payouts)
    assert paid is not None
    assert [one.lot for one in paid] == held
    for asset, each in payouts.items():
        position = sum(lot.shares_micros for lot in held if lot.asset_id == asset)
        reported = sum(one.paid_micros for one in paid if one.lot.asset_id == asset)
        assert reported == floor(Fraction(position * each, 1_000_000))
    for one in paid:
        exact = Fraction(one.lot.shares_micros * payouts[one.lot.asset_id], 1_000_000)
        assert abs(one.paid_micros - exact) < 1
        assert one.realised_micros == one.paid_micros - one.lot.cost_micros


def test_nothing_is_paid_while_a_payout_is_not_known() -> None:
    held = [LotHolding(asset_id=a, origin="x", shares_micros=1, cost_micros=1) for a in "12"]
    assert pay(held, {"1": 1_000_000}) is None
    assert pay([], {}) == []
