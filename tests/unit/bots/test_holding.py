"""What a bot holds and has made, against sums of exact fractions over any course of fills."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bots.core.holding import Holding, booked, paid_funding, traded, unrealised
from tests.unit.bots.samples import outcome, swap
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import Fill

FILLS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 2_000_000), st.integers(1, 5_000), st.integers(-9, 99)),
    max_size=12,
)


def worth(instrument: Instrument, price: int, size: int) -> Fraction:
    size_ = Fraction(instrument.contract) * Fraction(size, 10**instrument.size_digits)
    price_ = Fraction(price, 10**instrument.price_digits)
    exact = size_ / price_ if instrument.inverse else size_ * price_
    return exact * Fraction(10**instrument.money_digits)


@pytest.mark.parametrize("inverse", [False, True], ids=["linear", "inverse"])
@given(fills=FILLS, last=st.integers(1, 2_000_000))
def test_all_that_was_made_is_what_cash_says(
    inverse: bool, fills: list[tuple[bool, int, int, int]], last: int
) -> None:
    one = swap(inverse=inverse, contract="100" if inverse else "0.01")
    held, cash, position = Holding(), Fraction(0), 0
    for buy, price, size, fee in fills:
        held = traded(held, one, side="BUY" if buy else "SELL", price=price, size=size, fee=fee)
        signed = size if buy else -size
        position += signed
        # An inverse contract gains what it was worth when bought less what it is worth when sold.
        cash -= worth(one, price, signed) * (-1 if inverse else 1) + fee

    exact = cash + worth(one, last, position) * (-1 if inverse else 1)
    made = held.made + unrealised(held, one, last)
    assert held.size == position
    assert made <= exact
    assert exact - made <= 2 * len(fills) + 2


def test_a_long_that_is_sold_in_parts() -> None:
    yes = outcome()
    held = traded(Holding(), yes, side="BUY", price=400_000, size=10_000_000, fee=0)

    held = traded(held, yes, side="SELL", price=500_000, size=4_000_000, fee=1_000)

    assert (held.size, held.cost) == (6_000_000, 2_400_000)
    assert (held.realised, held.fees, held.made) == (400_000, 1_000, 399_000)
    assert unrealised(held, yes, 350_000) == -300_000


def test_a_sale_through_zero_opens_the_other_side() -> None:
    one = swap()
    held = traded(Holding(), one, side="BUY", price=500_000, size=300, fee=0)

    held = traded(held, one, side="SELL", price=510_000, size=500, fee=0)

    assert held.size == -200
    assert one.money_text(held.realised) == "30"
    assert one.money_text(held.cost) == "1020"
    assert one.money_text(unrealised(held, one, 500_000)) == "20"


def test_funding_is_part_of_what_was_made() -> None:
    assert paid_funding(Holding(fees=3), -4).made == -7


def test_a_fee_in_base_is_gone_from_what_was_bought() -> None:
    coin = replace(swap(), kind=InstrumentKind.SPOT, contract=Decimal(1), size_digits=8)
    fill = Fill(
        trade_id="t",
        order_id="a",
        venue_order_id="v",
        instrument_id=coin.id,
        side="BUY",
        price=600_000,
        size=100_000_000,
        fee=100_000,
        fee_currency="BTC",
        maker=True,
        venue_ms=0,
    )

    held = booked(Holding(), coin, fill)

    assert coin.size_text(held.size) == "0.999"
    assert coin.money_text(held.fees) == "60"
    # Sold again at the same price, the fee is all that was lost.
    sold = traded(held, coin, side="SELL", price=600_000, size=held.size, fee=0)
    assert (sold.size, coin.money_text(sold.made)) == (0, "-60")
