"""Test what a book offers and what a sale would fetch, against share-by-share references."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import as_reported
from tradingtools.domain.book import Curve, Level, LevelColumns, depth, sell_into

levels = st.lists(
    st.tuples(st.integers(1, 999_999), st.integers(1, 10**12)),
    max_size=8,
    unique_by=lambda level: level[0],
)


@given(levels, st.integers(-9, 9), st.slices(9))
def test_columns_are_the_levels_that_they_tell(found: list[Level], at: int, part: slice) -> None:
    columns, plain = as_reported(found), tuple(found)
    assert (len(columns), [*columns], bool(columns)) == (len(plain), found, bool(plain))
    assert columns[part] == plain[part]
    assert columns == plain
    assert plain == columns
    assert hash(columns) == hash(plain)
    assert columns != (*plain, (1, 1))
    assert all(level in columns and columns.index(level) == plain.index(level) for level in plain)
    if -len(plain) <= at < len(plain):
        assert columns[at] == plain[at]
        return
    with pytest.raises(IndexError):
        columns[at]


def best_bid_first(found: list[Level]) -> LevelColumns:
    return as_reported(sorted(found, reverse=True))


@given(levels, st.integers(0, 10**6), st.data())
def test_depth_counts_the_limit_and_what_is_better(
    found: list[Level], anywhere: int, data: st.DataObject
) -> None:
    limit = data.draw(st.sampled_from([anywhere, *(price for price, _ in found)]))
    asks, bids = tuple(sorted(found)), best_bid_first(found)
    assert depth(asks, limit, buying=True) == sum(s for p, s in found if p <= limit)
    assert depth(bids, limit, buying=False) == sum(s for p, s in found if p >= limit)


@given(levels, st.integers(0, 10**6), st.integers(1, 10**9), st.booleans())
def test_depth_says_less_than_enough_only_when_there_is_no_more(
    found: list[Level], limit: int, enough: int, buying: bool
) -> None:
    side = tuple(sorted(found)) if buying else best_bid_first(found)
    whole = depth(side, limit, buying=buying)
    counted = depth(side, limit, buying=buying, enough_micros=enough)
    assert counted == whole if whole < enough else enough <= counted <= whole


@given(levels, st.integers(0, 10**12))
def test_a_sale_walks_the_bids_from_the_best(found: list[Level], size: int) -> None:
    bids = best_bid_first(found)
    sale = sell_into(bids, size)
    # Cumulative shares above each level say how much of it is needed.
    taken = [
        (price, max(0, min(there, size - sum(s for p, s in bids if p > price))))
        for price, there in bids
    ]
    sold = sum(part for _, part in taken)
    if sold == 0:
        assert sale is None
        return
    assert sale is not None
    product = sum(price * part for price, part in taken)
    assert sale.size_micros == sold == min(size, sum(s for _, s in bids))
    assert sale.notional_micros == product // 1_000_000
    assert sale.worst_micros == min(price for price, part in taken if part)
    average = Fraction(product, sold)
    assert sale.average_micros <= average < sale.average_micros + 1
    whole = Fraction(product, size)
    assert sale.desired_micros == size
    assert sale.whole_average_micros <= whole < sale.whole_average_micros + 1
    assert sale.worst_micros <= sale.average_micros <= bids[0][0]


def test_a_sale_of_part_of_a_level_fetches_that_level() -> None:
    # 3.333333 shares at 0.6: the notional rounds, the price must not.
    sale = sell_into(((600_000, 10_000_000),), 3_333_333)
    assert sale is not None
    assert (sale.notional_micros, sale.average_micros) == (1_999_999, 600_000)


small = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 6)), max_size=4, unique_by=lambda level: level[0]
)


@given(small, small, st.integers(1, 30))
def test_curve_covers_another_when_no_size_sells_for_more(
    found: list[Level], other: list[Level], largest: int
) -> None:
    here, there = Curve(best_bid_first(found)), Curve(best_bid_first(other))
    sizes = range(1, largest + 1)
    more = any(there.product(size) > here.product(size) for size in sizes)
    assert here.covers(there, largest) is not more
