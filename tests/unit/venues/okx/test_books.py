"""Books kept whole by their sequence numbers: gaps, resets, keep-alives, snapshots of REST."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.venues.okx.samples import SWAP, change, instrument
from tradingtools.domain.book import BookStatus
from tradingtools.venues.okx.book_frames import BookChange, checksum
from tradingtools.venues.okx.book_states import MAX_RETAINED, BookState, OkxBook, Outcome
from tradingtools.venues.trading import Level

OF = instrument(SWAP)
FIRST = change(10, -1, snapshot=True, bids=[("99.9", "2"), ("100", "1")], asks=[("100.2", "3")])


def whole() -> OkxBook:
    book = OkxBook(OF)
    book.apply(FIRST)
    return book


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple((OF.price_of(price), OF.size_of(size)) for price, size in pairs)


def test_a_book_that_never_came_is_unseen() -> None:
    assert OkxBook(OF).book().status is BookStatus.UNSEEN


def test_a_snapshot_and_what_follows_it_make_a_book_best_first() -> None:
    book = whole()

    said = book.apply(change(15, 10, bids=[("100.1", "5"), ("99.9", "0")], asks=[("100.2", "1")]))

    assert said is Outcome.CHANGED
    assert book.book().bids == levels(("100.1", "5"), ("100", "1"))
    assert book.book().asks == levels(("100.2", "1"))
    assert book.book().status is BookStatus.FRESH


def test_equal_numbers_are_a_sign_of_life() -> None:
    book = whole()

    assert book.apply(change(10, 10)) is Outcome.ALIVE
    assert book.apply(change(11, 10, bids=[("99", "1")])) is Outcome.CHANGED


def test_a_smaller_number_begins_a_new_count() -> None:
    book = whole()

    assert book.apply(change(3, 10, bids=[("99", "1")])) is Outcome.CHANGED
    assert book.apply(change(5, 3, bids=[("99", "2")])) is Outcome.CHANGED
    assert book.book().bids[-1] == levels(("99", "2"))[0]


def test_a_gap_puts_the_book_in_doubt_until_a_whole_one_comes() -> None:
    book = whole()

    assert book.apply(change(20, 15, bids=[("100.1", "1")])) is Outcome.LOST
    assert book.book().status is BookStatus.STALE
    assert book.apply(change(21, 20)) is Outcome.WAITING
    assert book.book().status is BookStatus.STALE

    assert book.apply(change(30, -1, snapshot=True, bids=[("98", "1")])) is Outcome.CHANGED
    assert book.book().status is BookStatus.FRESH
    assert book.book().bids == levels(("98", "1"))
    assert book.apply(change(31, 30, bids=[("98", "0")])) is Outcome.CHANGED
    assert book.book().status is BookStatus.EMPTY


def test_a_crossed_book_says_so() -> None:
    book = whole()
    book.apply(change(11, 10, bids=[("100.2", "1")]))

    assert book.book().status is BookStatus.CROSSED


def test_updates_that_waited_are_joined_to_a_snapshot_of_rest() -> None:
    book = whole()
    book.apply(change(20, 15, bids=[("100.1", "1")]))
    book.apply(change(25, 20, bids=[("100.1", "7")]))

    # It is of 22, between the two of the second update.
    snapshot = change(22, -1, snapshot=True, bids=[("100.1", "1"), ("100", "4")])

    assert book.join(snapshot) is Outcome.CHANGED
    assert book.book().bids == levels(("100.1", "7"), ("100", "4"))
    assert book.apply(change(26, 25, bids=[("100", "0")])) is Outcome.CHANGED
    assert book.apply(change(28, 27)) is Outcome.LOST


def test_a_snapshot_of_rest_that_is_too_old_is_not_joined() -> None:
    book = whole()
    book.apply(change(20, 15))

    assert book.join(change(12, -1, snapshot=True, bids=[("1", "1")])) is Outcome.LOST
    assert book.book().status is BookStatus.STALE


def test_a_snapshot_of_rest_ahead_of_the_socket_waits_for_it() -> None:
    book = whole()
    book.apply(change(20, 15))

    assert book.join(change(40, -1, snapshot=True, bids=[("100", "1")])) is Outcome.CHANGED
    assert book.apply(change(30, 20, bids=[("100", "9")])) is Outcome.ALIVE, "older than it"
    assert book.apply(change(45, 30, bids=[("100", "2")])) is Outcome.CHANGED
    assert book.book().bids == levels(("100", "2"))
    assert book.apply(change(50, 46)) is Outcome.LOST


def test_a_snapshot_without_a_number_cannot_be_joined() -> None:
    book = whole()
    book.apply(change(20, 15))

    assert book.join(change(None, None, snapshot=True)) is Outcome.LOST


def test_a_new_count_while_it_waits_makes_what_was_kept_useless() -> None:
    book = whole()
    book.apply(change(20, 15))

    assert book.apply(change(2, 20)) is Outcome.LOST
    assert book.apply(change(4, 2)) is Outcome.WAITING
    assert book.join(change(3, -1, snapshot=True, bids=[("7", "1")])) is Outcome.CHANGED
    assert book.book().bids == levels(("7", "1"))


def test_what_is_kept_is_bounded() -> None:
    book = OkxBook(OF)
    said = [book.apply(change(at + 1, at)) for at in range(MAX_RETAINED + 1)]

    assert said[-1] is Outcome.LOST
    assert set(said[:-1]) == {Outcome.WAITING}


def test_a_lost_connection_leaves_no_book_to_trust() -> None:
    book = whole()
    book.doubt()

    assert book.book().status is BookStatus.STALE
    assert book.apply(change(11, 10)) is Outcome.WAITING


def test_old_recordings_are_judged_by_their_checksum() -> None:
    # OKX's own example: the first levels of both sides in turn, as text, by CRC32.
    bids, asks = [("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")]
    right = -1881014294
    book = OkxBook(OF, check=True)

    assert checksum(levels(*bids), levels(*asks), OF) == right
    first = change(None, None, snapshot=True, bids=bids, asks=asks, checksum=right)
    assert book.apply(first) is Outcome.CHANGED
    assert book.apply(change(None, None, bids=[("3366.1", "6")], checksum=right)) is Outcome.LOST
    assert book.book().status is BookStatus.STALE
    unchecked = OkxBook(OF)
    assert unchecked.apply(first) is Outcome.CHANGED
    assert (
        unchecked.apply(change(None, None, bids=[("3366.1", "6")], checksum=1)) is Outcome.CHANGED
    )


class Exchange:
    """A book at the venue: every step has a number, pushes join a few steps."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self.seq = 100
        self._reported = 100
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._dirty: tuple[set[str], set[str]] = (set(), set())

    def step(self) -> None:
        at = self._random.randrange(2)
        price = (
            str(90 + self._random.randrange(9)) if at == 0 else str(101 + self._random.randrange(9))
        )
        self.sides[at][price] = str(self._random.choice([0, 0, 1, 2, 3]))
        self._dirty[at].add(price)
        self.seq += self._random.randrange(1, 4)

    def reset(self) -> None:
        self.seq = self._random.randrange(1, 50)

    def update(self) -> BookChange:
        bids, asks = (
            [(p, side[p]) for p in dirty]
            for side, dirty in zip(self.sides, self._dirty, strict=True)
        )
        reported, self._reported = self._reported, self.seq
        for dirty in self._dirty:
            dirty.clear()
        return change(self.seq, reported, bids=bids, asks=asks)

    def snapshot(self) -> BookChange:
        bids, asks = ([(p, s) for p, s in side.items() if s != "0"] for side in self.sides)
        return change(self.seq, -1, bids=bids, asks=asks, snapshot=True)

    def truth(self, at: int) -> Sequence[Level]:
        pairs = levels(*((p, s) for p, s in self.sides[at].items() if s != "0"))
        return tuple(sorted(pairs, reverse=at == 0))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.lists(st.sampled_from("ssssuuuudrjw"), max_size=60))
def test_a_book_that_may_be_trusted_is_the_venue_s(seed: int, steps: list[str]) -> None:
    venue, book = Exchange(seed), OkxBook(OF)
    book.apply(venue.snapshot())
    for step in steps:
        match step:
            case "s":
                venue.step()
            case "r":
                venue.reset()
            case "d":
                venue.update()  # Lost on the way.
            case "w":
                venue.update()
                book.apply(venue.snapshot())
            case "j":
                seen = venue.snapshot()
                venue.step()
                book.apply(venue.update())
                if book.state is not BookState.WHOLE:
                    book.join(seen)
            case _:
                venue.step()
                book.apply(venue.update())
                if book.state is BookState.WHOLE:
                    assert book.book().bids == venue.truth(0)
                    assert book.book().asks == venue.truth(1)


@pytest.mark.parametrize("action", ["", "delta"])
def test_another_action_is_no_book(action: str) -> None:
    from tests.unit.venues.okx.samples import push
    from tradingtools.venues.okx.book_frames import read_changes
    from tradingtools.venues.okx.wire import WireError

    with pytest.raises(WireError, match="action"):
        read_changes(push("books", [], instId="BTC-USDT-SWAP", action=action), OF)
