"""Amounts of orders agree with the venue's SDK, and never go beyond the limit that was asked."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.orders.limit import _compute_limit_order_amounts

from tradingtools.venues.polymarket.order_amounts import (
    TICKS,
    AmountsError,
    resting_amounts,
    taking_amounts,
)
from tradingtools.venues.ports import Side

ONE = 1_000_000
FINEST = min(TICKS)
sides = st.sampled_from(["BUY", "SELL"])


@st.composite
def on_the_tick(draw: st.DrawFn) -> tuple[int, int]:
    tick = draw(st.sampled_from(sorted(TICKS)))
    return tick, tick * draw(st.integers(1, ONE // tick - 1))


@settings(max_examples=60, deadline=None)
@given(side=sides, of=on_the_tick(), size=st.integers(10_000, 10**12))
def test_a_resting_order_is_the_exact_product(side: Side, of: tuple[int, int], size: int) -> None:
    tick, price = of
    found = resting_amounts(side, price=price, size=size, tick=tick)
    shares, usdc = (found.taker, found.maker) if side == "BUY" else (found.maker, found.taker)
    assert shares <= size < shares + 10_000
    assert usdc * ONE == shares * price
    expected = _compute_limit_order_amounts(
        price=Decimal(price) / ONE,
        size=Decimal(size) / ONE,
        side=side,
        tick_size=Decimal(tick) / ONE,
    )
    assert (found.maker, found.taker) == expected


@settings(max_examples=60, deadline=None)
@given(side=sides, of=on_the_tick(), size=st.integers(5 * ONE, 10**12))
def test_a_taking_order_meets_its_limit_and_no_tick_more(
    side: Side, of: tuple[int, int], size: int
) -> None:
    tick, price = of
    try:
        found = taking_amounts(side, price=price, size=size, tick=tick)
    except AmountsError:
        assert size * price // ONE < 10_000 + price  # not a cent, or not a share for whole cents
        return
    if side == "BUY":
        assert found.maker % 10_000 == 0
        assert found.taker % 100 == 0
        assert found.maker * ONE <= size * price
        assert found.taker * price <= found.maker * ONE  # an ask at the limit is met
        assert found.taker * (price + FINEST) > found.maker * ONE
    else:
        assert found.maker % 10_000 == 0
        assert found.taker % 100 == 0
        assert found.maker <= size
        assert found.taker * ONE <= found.maker * price
        assert found.taker * ONE > found.maker * (price - FINEST)


def test_a_taking_buy_of_a_fine_tick_has_four_decimals_of_shares() -> None:
    # 10.13197 shares, which the tick would allow, are refused (py-clob-client-v2 issue 99).
    found = taking_amounts("BUY", price=985_000, size=10_131_980, tick=1_000)
    assert (found.maker, found.taker) == (9_980_000, 10_131_900)


@pytest.mark.parametrize(
    ("price", "size", "tick", "named"),
    [
        (505_000, ONE, 10_000, "price"),
        (0, ONE, 10_000, "price"),
        (ONE, ONE, 10_000, "price"),
        (500_000, 9_999, 10_000, "size"),
        (500_000, ONE, 20_000, "tick"),
    ],
)
def test_what_cannot_be_an_order_is_named(price: int, size: int, tick: int, named: str) -> None:
    for amounts in (resting_amounts, taking_amounts):
        with pytest.raises(AmountsError, match=named):
            amounts("BUY", price=price, size=size, tick=tick)
