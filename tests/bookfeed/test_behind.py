"""A book in doubt, and REST that is a little behind: it counts again when it is the venue's."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from services.bookfeed.core.book import Book
from services.bookfeed.core.looking import Answer, Change
from services.bookfeed.core.tracking import Tracked

START_MS = 10_000
STEP_MS = 10
RTT_MS = 40
ANSWERS_MAX = 5


class Told(NamedTuple):
    """One change of the venue's, ``after_ms`` the one before."""

    after_ms: int
    is_bid: bool
    price: int
    size: int


class Venue:
    """The reference: each state of the book with its time."""

    def __init__(self) -> None:
        book = Book()
        book.replace([(400_000, 10), (390_000, 10)], [(600_000, 10)])
        self.states = [(START_MS, book)]

    @property
    def book(self) -> Book:
        return self.states[-1][1]

    def change(self, told: Told) -> Change:
        book = self.book.copy()
        book.change(is_bid=told.is_bid, price=told.price, size=told.size)
        self.states.append((self.states[-1][0] + told.after_ms, book))
        return Change(told.is_bid, told.price, told.size, book.best_bid, book.best_ask)

    def answer(self, at_ms: int, stamp_ms: int | None = None) -> Answer:
        ms, book = [state for state in self.states if state[0] <= at_ms or state[0] == START_MS][-1]
        return Answer(book.bids(99), book.asks(99), ms if stamp_ms is None else stamp_ms)


def told() -> st.SearchStrategy[Told]:
    sides = st.one_of(
        st.tuples(st.just(True), st.sampled_from([380_000, 390_000, 400_000, 410_000])),
        st.tuples(st.just(False), st.sampled_from([590_000, 600_000, 610_000])),
    )
    return st.builds(
        lambda after, side, size: Told(after, side[0], side[1], size),
        st.sampled_from([0, 10, 50, 200, 400, 3_000]),
        sides,
        st.integers(0, 3),
    )


def run(
    lost: list[Told],
    heard: list[Told],
    *,
    lag_ms: int,
    refused: int | None = None,
    take: list[int] | None = None,
    stamp_ms: int | None = None,
) -> None:
    """Lose changes, hear the others, and see that no book counts that is not the venue's.

    Args:
        lost: changes that the socket keeps to itself.
        heard: those after them.
        lag_ms: how old REST's book is.
        refused: which of those heard cannot be read; None: none.
        take: where to note how many answers it took.
        stamp_ms: the time that all answers bear; None: that of their state.
    """
    venue, tracked = Venue(), Tracked()
    tracked.snapshot(venue.book.bids(99), venue.book.asks(99), START_MS, 1)
    for one in lost:
        venue.change(one)
    waiting = [(venue.change(one), venue.states[-1]) for one in heard]
    states, venue.states = venue.states, venue.states[: 1 + len(lost)]
    now, end = venue.states[-1][0], states[-1][0] + 60_000
    asked: int | None = None
    doubted, answers, number = False, 0, 0
    while now < end and (waiting or tracked.doubtful):
        while waiting and waiting[0][1][0] <= now:
            change, state = waiting.pop(0)
            venue.states.append(state)
            if number == refused:
                tracked.refused()
                answers = 0
            else:
                tracked.changes([change], state[0], 1)
            number += 1
            answers = answers if doubted else 0
            doubted = doubted or tracked.doubtful
            assert_ours(doubted, tracked, venue)
        if asked is not None and now >= asked + RTT_MS:
            asked, answers = None, answers + 1
            tracked.end_resync(
                venue.answer(now - RTT_MS // 2 - lag_ms, stamp_ms), now_ms=now, received_ns=1
            )
            assert_ours(doubted, tracked, venue)
        if tracked.wants_resync(now):
            assert answers < ANSWERS_MAX, "it counts again after a few answers"
            tracked.begin_resync(now)
            asked = now
        now += STEP_MS
    assert not tracked.doubtful
    if take is not None:
        take.append(answers)


def assert_ours(doubted: bool, tracked: Tracked, venue: Venue) -> None:
    """What was lost may not be known yet; once there was a doubt, it must not count as known."""
    if doubted and not tracked.doubtful:
        assert tracked.book.same(venue.book)


FALLEN = [Told(1_000, True, 400_000, 0)]


@given(
    lost=st.lists(told(), min_size=1, max_size=3),
    heard=st.lists(told(), min_size=1, max_size=25),
    lag_ms=st.integers(0, 500),
)
@example(lost=FALLEN, heard=[Told(0, True, 380_000, 7)], lag_ms=400)
def test_a_book_counts_again_only_when_it_is_the_venues(
    lost: list[Told], heard: list[Told], lag_ms: int
) -> None:
    run(lost, heard, lag_ms=lag_ms)


@given(every_ms=st.sampled_from([10, 50, 200, 400]), lag_ms=st.integers(0, 500))
def test_a_book_that_changes_oftener_than_rest_follows_counts_again(
    every_ms: int, lag_ms: int
) -> None:
    """Each answer was older than the book it was asked for, and none was taken."""
    lively = [Told(every_ms, True, 380_000, 1 + number % 3) for number in range(400)]
    answers: list[int] = []
    run(FALLEN, lively, lag_ms=lag_ms, take=answers)
    assert answers[0] <= 4


@given(every_ms=st.sampled_from([10, 50, 200, 400]), lag_ms=st.integers(0, 500))
def test_a_time_of_answers_that_does_not_move_keeps_no_book_in_doubt(
    every_ms: int, lag_ms: int
) -> None:
    lively = [Told(every_ms, True, 380_000 + number % 2, number % 3) for number in range(500)]
    answers: list[int] = []
    run(FALLEN, lively, lag_ms=lag_ms, take=answers, stamp_ms=START_MS)
    assert answers[0] <= 5


@given(
    heard=st.lists(told(), min_size=1, max_size=25),
    lag_ms=st.integers(0, 500),
    refused=st.integers(0, 24),
)
def test_what_could_not_be_read_is_in_a_book_that_counts_again(
    heard: list[Told], lag_ms: int, refused: int
) -> None:
    run([], heard, lag_ms=lag_ms, refused=refused % len(heard))
