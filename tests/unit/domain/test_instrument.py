"""Units of instruments, and what sizes of them are worth, against exact fractions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.domain.instrument import Instrument, InstrumentKind, UnitError


def swap(
    *, inverse: bool, contract: str, price_digits: int = 8, size_digits: int = 8
) -> Instrument:
    return Instrument(
        id="okx:BTC-USD-SWAP" if inverse else "okx:BTC-USDT-SWAP",
        kind=InstrumentKind.SWAP,
        base="BTC",
        quote="USD" if inverse else "USDT",
        settle="BTC" if inverse else "USDT",
        price_digits=price_digits,
        size_digits=size_digits,
        money_digits=8,
        tick_size=10 ** (price_digits - 1),
        lot_size=10 ** (size_digits - 2),
        minimum_size=10 ** (size_digits - 2),
        contract=Decimal(contract),
        inverse=inverse,
    )


def test_linear_contract_is_worth_size_times_price() -> None:
    one = swap(inverse=False, contract="0.01")

    worth = one.notional(one.price_of("64250.5"), one.size_of("3.2"), up=False)

    assert one.money_text(worth) == "2056.016"


def test_an_inverse_contract_settles_in_base() -> None:
    one = swap(inverse=True, contract="100")

    worth = one.notional(one.price_of("64000"), one.size_of("5"), up=False)

    assert one.money_text(worth) == "0.0078125"


@given(
    inverse=st.booleans(),
    contract=st.sampled_from(["0.01", "1", "100", "0.0001", "10000000"]),
    digits=st.tuples(st.integers(1, 12), st.integers(2, 12)),
    price=st.integers(1, 10**15),
    size=st.integers(0, 10**15),
)
def test_a_notional_is_the_exact_one_rounded_once(
    inverse: bool, contract: str, digits: tuple[int, int], price: int, size: int
) -> None:
    one = swap(inverse=inverse, contract=contract, price_digits=digits[0], size_digits=digits[1])

    exact_price = Fraction(price, 10**one.price_digits)
    exact = Fraction(one.contract) * Fraction(size, 10**one.size_digits)
    exact = (exact / exact_price if inverse else exact * exact_price) * 10**one.money_digits

    assert one.notional(price, size, up=False) == exact.numerator // exact.denominator
    assert one.notional(price, size, up=True) == -(-exact.numerator // exact.denominator)


@given(st.integers(-(10**20), 10**20))
def test_text_becomes_the_same_units_again(units: int) -> None:
    one = swap(inverse=False, contract="1")

    assert one.price_of(one.price_text(units)) == units


@pytest.mark.parametrize(
    "text", ["", "nan", "Infinity", "1e999999", "1e-999", "0.123456789", "x", "1" * 65]
)
def test_what_the_units_cannot_hold_is_refused_by_name(text: str) -> None:
    one = swap(inverse=False, contract="1")

    with pytest.raises(UnitError, match="price of okx:BTC-USDT-SWAP"):
        one.price_of(text)


def test_prices_go_to_ticks_and_sizes_to_lots_above_the_minimum() -> None:
    one = swap(inverse=False, contract="1")

    assert one.price_on_tick(one.price_of("1.05"), up=True) == one.price_of("1.1")
    assert one.price_on_tick(one.price_of("1.05"), up=False) == one.price_of("1")
    assert one.price_on_tick(one.price_of("1.1"), up=True) == one.price_of("1.1")
    assert one.size_in_lots(one.size_of("0.0199")) == one.size_of("0.01")
    assert one.size_in_lots(one.size_of("0.0099")) == 0
    few = replace(one, maximum_size=one.size_of("0.0199"))
    assert few.size_in_lots(one.size_of("5")) == one.size_of("0.01")


def test_units_without_a_step_are_refused() -> None:
    with pytest.raises(UnitError, match="contract of okx:BTC-USDT-SWAP must be above zero"):
        swap(inverse=False, contract="0")
