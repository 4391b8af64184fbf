"""The book equals a plain reference after any snapshot and changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.bookfeed.core.book import ONE, Book

prices = st.integers(1, 20).map(lambda n: n * 10_000)
sizes = st.integers(0, 3).map(lambda n: n * 1_000_000)
changes = st.lists(st.tuples(st.booleans(), prices, sizes), max_size=60)
sides = st.lists(st.tuples(prices, sizes), max_size=10, unique_by=lambda level: level[0])


@given(sides, sides, changes)
def test_it_equals_a_plain_reference(
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    steps: list[tuple[bool, int, int]],
) -> None:
    book = Book()
    book.replace(bids, asks)
    reference = {True: dict(bids), False: dict(asks)}
    for is_bid, price, size in [(True, 0, 0), *steps]:
        book.change(is_bid=is_bid, price=price, size=size)
        reference[is_bid][price] = size
        standing = {
            side: {price: size for price, size in levels.items() if size}
            for side, levels in reference.items()
        }
        assert book.bids(100) == sorted(standing[True].items(), reverse=True)
        assert book.asks(100) == sorted(standing[False].items())
        assert book.best_bid == max(standing[True], default=0)
        assert book.best_ask == min(standing[False], default=ONE)
        assert book.empty == (not standing[True] and not standing[False])


def test_the_depth_is_cut_at_the_far_end() -> None:
    book = Book()
    book.replace([(1, 5), (3, 5), (2, 5)], [(9, 5), (7, 5), (8, 5)])
    assert book.bids(2) == [(3, 5), (2, 5)]
    assert book.asks(2) == [(7, 5), (8, 5)]


def test_a_one_sided_book_is_not_crossed() -> None:
    book = Book()
    book.replace([(990_000, 1)], [])
    assert not book.crossed
    book.change(is_bid=False, price=990_000, size=1)
    assert book.crossed


def test_what_the_venue_does_not_say_agrees() -> None:
    book = Book()
    assert book.agrees(0, ONE)
    assert book.agrees(None, None)
    assert not book.agrees(10_000, None)
    assert not book.agrees(None, 10_000)
