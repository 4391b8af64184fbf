"""Amounts: exact or refused, and rounded the way that takes no risk."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tradingtools.domain import money
from tradingtools.domain.money import MAX_MICROS, MICROS, AmountError

micros = st.integers(-MAX_MICROS, MAX_MICROS)
sizes = st.integers(0, 10**15)
prices = st.integers(1, 10**6)
steps = st.sampled_from([1, 100, 1_000, 10_000, 999_983])


@given(micros)
def test_text_and_back_is_the_same_amount(value: int) -> None:
    text = money.to_text(value)
    assert money.parse_exact(text) == value
    assert Fraction(text) == Fraction(value, MICROS)


@given(micros)
def test_text_is_the_shortest(value: int) -> None:
    text = money.to_text(value)
    assert "e" not in text
    assert "." not in text or text[-1] not in "0."


numbers = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**20),
    st.sampled_from(["", ".0", ".5", ".000001", ".0000005", ".9999995", "." + "0" * 29 + "1"])
    | st.from_regex(r"\.[0-9]{0,30}", fullmatch=True),
    st.sampled_from(["", "e0", "E2", "e-3", "e+6", "e-30"]),
)


@given(numbers)
@example("1.000000000000000000000000000001")
def test_exact_is_exact_or_refused(text: str) -> None:
    try:
        value = money.parse_exact(text)
    except AmountError:
        scaled = Fraction(text) * MICROS
        exponent = Decimal(text).as_tuple().exponent
        far = isinstance(exponent, int) and not -30 <= exponent <= 30
        assert scaled.denominator != 1 or abs(scaled) > MAX_MICROS or far
    else:
        assert Fraction(value, MICROS) == Fraction(text)


@given(numbers)
@example("1.000000500000000000000000000001")
@example("0.0000005")
@example("0.0000015")
def test_rounded_is_half_even(text: str) -> None:
    try:
        value = money.parse_rounded(text)
    except AmountError:
        return
    # Python rounds fractions half to even, exactly.
    assert value == round(Fraction(text) * MICROS)


REFUSED = [
    "", " ", "1 ", " 1", "1\n", "\t1", "1 2", "1_0", "1,5", "NaN", "nan", "sNaN", "Infinity",
    "-inf", "1e31", "1e-31", "0e999999999", "1e999999999", "1e-999999999", "0x10", "\u0661",
    "\uff11", "1\u00a0", "--1", "1.2.3", ".", "e5", "1" * 65, "9223372036855", "-9223372036855",
    "true", "None", "1\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        money.parse_exact(text)
    with pytest.raises(AmountError):
        money.parse_rounded(text)


@given(st.text(max_size=70))
def test_any_text_gives_an_amount_or_an_amount_error(text: str) -> None:
    try:
        value = money.parse_exact(text)
    except AmountError:
        return
    assert abs(value) <= MAX_MICROS


def test_the_largest_amount_is_accepted_and_one_more_is_not() -> None:
    assert money.parse_exact("9223372036854.775807") == MAX_MICROS
    with pytest.raises(AmountError):
        money.parse_exact("9223372036854.775808")


@given(st.integers(0, 10**18), prices)
def test_size_for_is_the_largest_size_within_the_budget(budget: int, price: int) -> None:
    size = money.size_for(budget, price)
    assert money.notional_ceil(size, price) <= budget
    assert money.notional_ceil(size + 1, price) > budget


@given(sizes, steps)
def test_floor_and_ceil_enclose(value: int, step: int) -> None:
    low, high = money.floor_to(value, step), money.ceil_to(value, step)
    assert low % step == high % step == 0
    assert low <= value <= high
    assert high - low == (0 if value % step == 0 else step)


@given(sizes, prices)
def test_notionals_enclose_the_product(size: int, price: int) -> None:
    exact = Fraction(size * price, MICROS)
    low, high = money.notional_floor(size, price), money.notional_ceil(size, price)
    assert low <= exact <= high
    assert high - low == (0 if exact.denominator == 1 else 1)


@given(st.integers(0, 10**18), st.integers(1, 10**12))
@example(5, 2)
@example(3, 2)
@example(1, 2)
def test_a_quotient_is_rounded_as_people_do(value: int, by: int) -> None:
    assert money.divided_half_even(value, by) == round(Fraction(value, by))
