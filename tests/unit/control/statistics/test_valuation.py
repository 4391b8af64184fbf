"""Test what held shares are worth: what would be paid for them now, or nothing is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control.statistics.valuation import Valuation, total, worth
from tests.unit.samples import book
from tradingtools.domain.book import BookStatus, Level

BIDS: tuple[Level, ...] = ((500_000, 3_000_000), (400_000, 2_000_000))
levels = st.lists(
    st.tuples(st.integers(1, 999_999), st.integers(1, 10**12)), max_size=6, unique_by=lambda x: x[0]
)


@pytest.mark.parametrize(
    ("shares", "value", "sellable"),
    [
        (1_000_000, 500_000, 1_000_000),
        (4_000_000, 1_900_000, 4_000_000),
        (9_000_000, 2_300_000, 5_000_000),
    ],
)
def test_shares_are_worth_what_their_size_fetches(shares: int, value: int, sellable: int) -> None:
    found = worth(book(bids=BIDS), shares)
    assert found == Valuation(value_micros=value, sellable_micros=sellable)


@pytest.mark.parametrize("status", [s for s in BookStatus if s is not BookStatus.FRESH])
def test_without_a_fresh_book_there_is_no_worth(status: BookStatus) -> None:
    assert worth(book(bids=BIDS, status=status), 1_000_000) is None
    assert worth(None, 1_000_000) is None


def test_what_nobody_bids_for_is_worth_nothing() -> None:
    assert worth(book(bids=()), 1) == Valuation(value_micros=0, sellable_micros=0)


def test_resolved_share_is_worth_its_payout_not_the_book() -> None:
    resolved = book(bids=BIDS, status=BookStatus.STALE, payout=333_333)
    assert worth(resolved, 1_500_001) == Valuation(value_micros=499_999, sellable_micros=1_500_001)


@given(levels, st.integers(1, 10**12))
def test_a_worth_is_never_more_than_the_best_bid_pays(bids: list[Level], shares: int) -> None:
    ordered = tuple(sorted(bids, reverse=True))
    found = worth(book(bids=ordered), shares)
    assert found is not None
    assert found.sellable_micros == min(shares, sum(size for _, size in bids))
    best = ordered[0][0] if ordered else 0
    assert found.value_micros * 1_000_000 <= found.sellable_micros * best


def test_one_lot_without_a_worth_is_counted_and_not_guessed() -> None:
    sums = total([(900, Valuation(value_micros=1_000, sellable_micros=1)), (50, None)])
    assert (sums.positions, sums.unmarked) == (2, 1)
    assert (sums.value_micros, sums.unrealised_micros) == (1_000, 100)
