"""The exchange's own trades and payments, divided among bots: nothing is lost or made."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.bots.core.forced import closed_sizes, paid_amounts

SIZES = st.dictionaries(st.sampled_from("abcde"), st.integers(-50, 50), min_size=1)


@settings(max_examples=60)
@given(sizes=SIZES, size=st.integers(1, 300), side=st.sampled_from(["BUY", "SELL"]))
def test_a_liquidation_is_borne_by_those_who_held_that_side(
    sizes: dict[str, int], size: int, side: str
) -> None:
    sign = 1 if side == "SELL" else -1
    found = closed_sizes(sizes, "SELL" if side == "SELL" else "BUY", size)

    bearers = {one: abs(held) for one, held in sizes.items() if held * sign > 0}
    assert sum(found.values()) == min(size, sum(bearers.values()))
    assert all(0 < part <= bearers[one] for one, part in found.items())


@settings(max_examples=60)
@given(sizes=SIZES, amount=st.integers(-1_000, 1_000))
def test_funding_is_divided_by_size_and_rounded_against_each(
    sizes: dict[str, int], amount: int
) -> None:
    found = paid_amounts(sizes, amount)

    total = sum(sizes.values())
    assert (found == {}) == (total == 0 or not any(sizes.values()))
    assert all(part <= amount * sizes[one] / total for one, part in found.items())
    assert amount - len(found) <= sum(found.values()) <= amount or not found


def test_a_liquidation_by_hand() -> None:
    assert closed_sizes({"a": 3, "b": 7, "c": -4, "d": 0}, "SELL", 5) == {"a": 2, "b": 3}
    assert closed_sizes({"a": 3, "b": 7, "c": -4}, "BUY", 10) == {"c": 4}
    assert paid_amounts({"a": 3, "b": -1}, -10) == {"a": -15, "b": 5}
