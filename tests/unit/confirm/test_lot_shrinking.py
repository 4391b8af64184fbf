"""Test which lots shrink: never more than is there, manual shares first, copies in proportion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.confirm.core.lot_shrinking import Lot, cost_given_back, refusal, shrunk


def lot(origin: str, shares: int, *, elsewhere: int = 0, elsewhere_cost: int = 0) -> Lot:
    return Lot(
        condition_id="0xc", origin=origin, shares_micros=shares, cost_micros=shares // 2,
        bought_size_micros=shares + elsewhere, sold_size_micros=0, resolved_size_micros=0,
        by_hand_micros=0, elsewhere_micros=elsewhere, elsewhere_cost_micros=elsewhere_cost,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("held", "left"),
    [
        (70, {}), (60, {}), (59, {"manual": 9}), (50, {"manual": 0}),
        (30, {"manual": 0, "a": 24, "b": 6}), (7, {"manual": 0, "a": 5, "b": 2}),
        (0, {"manual": 0, "a": 0, "b": 0}), (-5, {"manual": 0, "a": 0, "b": 0}),
    ],
)  # fmt: skip
def test_manual_shares_go_first_and_copies_share_the_rest(held: int, left: dict[str, int]) -> None:
    assert shrunk([lot("a", 40), lot("b", 10), lot("manual", 10)], held) == left


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=4),
    st.integers(0, 10**12),
    st.integers(-(10**6), 5 * 10**12),
)
def test_lots_never_hold_what_is_not_there_nor_grow(
    copies: list[int], manual: int, held: int
) -> None:
    lots = [*(lot(f"sub_{n}", size) for n, size in enumerate(copies)), lot("manual", manual)]
    left = shrunk(lots, held)
    after = {one.origin: left.get(one.origin, one.shares_micros) for one in lots}
    assert all(0 <= after[one.origin] <= one.shares_micros for one in lots)
    assert all(after[origin] < one.shares_micros for one in lots for origin in left
               if one.origin == origin)  # fmt: skip
    total, there = sum(one.shares_micros for one in lots), max(held, 0)
    # What is there is not given up either: a redemption pays for all of it.
    assert sum(after.values()) == min(there, total)


def test_an_operator_gives_back_no_more_than_was_taken() -> None:
    held = lot("a", 40, elsewhere=10, elsewhere_cost=3)
    assert refusal(held, 50, at_rest=True) == ""
    assert "50 micros at the most" in refusal(held, 51, at_rest=True)
    assert "under way" in refusal(held, 10, at_rest=False)
    assert [cost_given_back(held, n) for n in (1, 9, 10)] == [1, 3, 3]
