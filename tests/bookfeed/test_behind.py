"""A book in doubt, and REST that is a little behind: it counts again when it is the venue's."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.bookfeed.core.book import Book
from services.bookfeed.core.book_state import TAKEOVER_MS, BookState, Status
from services.bookfeed.core.snapshot_audit import LevelChange, RestBook

START_MS = 10_000
STEP_MS = 10
RTT_MS = 40
REST_MS, REFRESH_MS = 5_000, 3_000
"""How long a book from REST counts, and how often it is asked for."""
CHECKED_MS = 200
FEW = 30
"""Examples of what takes many seconds of the venue's."""
SUSPENDED_MS = 2_000
"""How long triggers bear a book that does not count."""
BIDS, ASKS = [380_000, 390_000, 400_000, 410_000], [590_000, 600_000, 610_000]


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

    def change(self, reported: Told) -> LevelChange:
        book = self.book.copy()
        book.change(is_bid=reported.is_bid, price=reported.price, size=reported.size)
        self.states.append((self.states[-1][0] + reported.after_ms, book))
        return LevelChange(
            reported.is_bid, reported.price, reported.size, book.best_bid, book.best_ask
        )

    def answer(self, at_ms: int, stamp_ms: int | None = None) -> RestBook:
        ms, book = [state for state in self.states if state[0] <= at_ms or state[0] == START_MS][-1]
        return RestBook(book.bids(99), book.asks(99), ms if stamp_ms is None else stamp_ms)


def reported() -> st.SearchStrategy[Told]:
    sides = st.one_of(
        st.tuples(st.just(True), st.sampled_from(BIDS)),
        st.tuples(st.just(False), st.sampled_from(ASKS)),
    )
    return st.builds(
        lambda after, side, size: Told(after, side[0], side[1], size),
        st.sampled_from([0, 10, 50, 200, 400, 3_000]),
        sides,
        st.integers(0, 3),
    )


class How(Enum):
    """A change of the venue's as the socket sends it."""

    CHANGE = "change"
    BOOK = "book"
    LATE = "late"
    """The book of before it, and then the change."""
    REFUSED = "refused"


def hows(*rare: How) -> st.SearchStrategy[list[How]]:
    """One of each change that is heard; the list is repeated."""
    return st.lists(st.sampled_from([How.CHANGE, *rare]), min_size=1, max_size=25)


class Stamp(Enum):
    """The time that REST's answers bear."""

    CHANGED = "the last change"
    ANSWERED = "the answer"
    STANDS = "always the same"


class Socket:
    """Tells a book what the venue does, its own way."""

    def __init__(self, tracked: BookState, hows: Sequence[How], misstated: int) -> None:
        self._tracked = tracked
        self._hows = hows
        self._misstated = misstated
        self._number = 0

    def notify(
        self, change: LevelChange, before: tuple[int, Book], state: tuple[int, Book]
    ) -> None:
        """Tell of one state of the venue's, which the change has made of the one before."""
        how, (ms, book) = self._hows[self._number % len(self._hows)], state
        self._number += 1
        if how is How.REFUSED:
            self._tracked.refused()
        elif how is How.BOOK:
            self._tracked.snapshot(book.bids(99), book.asks(99), ms, ms * 10**6)
        else:
            if self._misstated and change.best_ask is not None:
                change = change._replace(best_ask=change.best_ask - self._misstated)
            self._tracked.changes([change], ms, ms * 10**6)
            if how is How.LATE:
                ms_before, old = before
                self._tracked.snapshot(old.bids(99), old.asks(99), ms_before, ms * 10**6)


class Rest:
    """Is asked as `looks` does, and answers."""

    def __init__(self, venue: Venue, tracked: BookState, lag_ms: int, stamp: Stamp) -> None:
        self.answers = 0
        self._venue = venue
        self._tracked = tracked
        self._lag_ms = lag_ms
        self._stamp = stamp
        self._requested: int | None = None
        self._refresh: int | None = None

    def turn(self, now: int) -> None:
        if self._requested is not None and now >= self._requested + RTT_MS:
            self._requested = None
            self._answer(now)
        if not self._tracked.rest_alone:
            self._refresh = None
        elif self._refresh is None:
            self._refresh = now + TAKEOVER_MS
        due = self._refresh is not None and now >= self._refresh
        if due and self._tracked.wants_refresh(now):
            self._refresh = now + REFRESH_MS
        elif not self._tracked.wants_resync(now):
            return
        self._tracked.begin_resync(now)
        self._requested = now

    def _answer(self, now: int) -> None:
        self.answers += 1
        at_ms = now - RTT_MS // 2 - self._lag_ms
        stamps = {Stamp.CHANGED: None, Stamp.ANSWERED: at_ms, Stamp.STANDS: START_MS}
        answer = self._venue.answer(at_ms, stamps[self._stamp])
        self._tracked.end_resync(answer, now_ms=now, received_ns=now * 10**6)


def run(
    lost: list[Told],
    received: list[Told],
    *,
    lag_ms: int,
    hows: Sequence[How] = (How.CHANGE,),
    stamp: Stamp = Stamp.CHANGED,
    misstated: int = 0,
) -> int:
    """Lose changes, hear the others, and see that the book is good and the venue's.

    What was lost may not be known yet; once there was a doubt, a book must not count as whole that
    is not the venue's, and whatever counts at all is what the venue said lately. It must not count
    for nothing for so long that triggers are suspended.

    Args:
        lost: changes that the socket keeps to itself.
        .last_message: those after them.
        lag_ms: how old REST's book is.
        hows: how each of those heard comes, again and again.
        stamp: which time answers bear.
        misstated: by how much stated best asks are too low.

    Returns:
        How many answers it took until the book was whole at last.
    """
    venue, tracked = Venue(), BookState()
    socket = Socket(tracked, hows, misstated)
    tracked.snapshot(venue.book.bids(99), venue.book.asks(99), START_MS, START_MS * 10**6)
    for one in lost:
        venue.change(one)
    waiting = [(venue.change(one), venue.states[-1]) for one in received]
    states, venue.states = venue.states, venue.states[: 1 + len(lost)]
    now, end = venue.states[-1][0], states[-1][0] + 20_000
    rest = Rest(venue, tracked, lag_ms, stamp)
    doubted, bad_ms = False, 0
    while now < end and (waiting or tracked.doubtful):
        while waiting and waiting[0][1][0] <= now:
            change, state = waiting.pop(0)
            before = venue.states[-1]
            venue.states.append(state)
            socket.notify(change, before, state)
            doubted = doubted or tracked.doubtful
        rest.turn(now)
        if counts(tracked, now):
            bad_ms = 0
            if doubted:
                assert_ours(tracked, venue, now)
        else:
            bad_ms += STEP_MS
            assert bad_ms < SUSPENDED_MS, "its stops would be suspended"
        now += STEP_MS
    assert counts(tracked, now)
    assert misstated or not tracked.doubtful
    return rest.answers


def counts(tracked: BookState, now: int) -> bool:
    status = tracked.status(now, last_message_ms=now, stale_ms=15_000, rest_ms=REST_MS)
    return status in (Status.FRESH, Status.EMPTY)


def assert_ours(tracked: BookState, venue: Venue, now: int) -> None:
    if not tracked.doubtful:
        assert tracked.book.same(venue.book)
        return
    if now % CHECKED_MS == 0:
        ours = levels(tracked.book)
        started = max(i for i, (ms, _) in enumerate(venue.states) if i == 0 or ms <= now - REST_MS)
        lately = [levels(book) for _, book in venue.states[started:]]
        assert all(size in {book[place] for book in lately} for place, size in ours.items())


def levels(book: Book) -> dict[int, int]:
    reported = dict(book.bids(99)) | dict(book.asks(99))
    return {price: reported.get(price, 0) for price in BIDS + ASKS}


FALLEN = [Told(1_000, True, 400_000, 0)]


def lively(every_ms: int, for_ms: int = 8_000) -> list[Told]:
    return [
        Told(every_ms, True, 380_000 + number % 3 * 10_000, number % 4)
        for number in range(min(for_ms // every_ms, 200))
    ]


@given(
    lost=st.lists(reported(), min_size=1, max_size=3),
    received=st.lists(reported(), min_size=1, max_size=25),
    lag_ms=st.integers(0, 500),
)
@example(lost=FALLEN, received=[Told(0, True, 380_000, 7)], lag_ms=400)
def test_a_book_counts_again_only_when_it_is_the_venues(
    lost: list[Told], received: list[Told], lag_ms: int
) -> None:
    run(lost, received, lag_ms=lag_ms)


@given(every_ms=st.sampled_from([10, 50, 200, 400]), lag_ms=st.integers(0, 500))
def test_book_that_outpaces_rest_is_trusted_again(every_ms: int, lag_ms: int) -> None:
    """Each answer was older than the book it was asked for, and none was taken."""
    assert run(FALLEN, lively(every_ms), lag_ms=lag_ms) <= 4


@given(every_ms=st.sampled_from([10, 50, 200, 400]), lag_ms=st.integers(0, 500))
def test_answers_with_a_fixed_time_leave_no_doubt(every_ms: int, lag_ms: int) -> None:
    assert run(FALLEN, lively(every_ms), lag_ms=lag_ms, stamp=Stamp.STANDS) <= 4


@given(
    received=st.lists(reported(), min_size=1, max_size=25),
    lag_ms=st.integers(0, 500),
    refused=st.integers(0, 24),
)
def test_what_could_not_be_read_is_in_a_book_that_counts_again(
    received: list[Told], lag_ms: int, refused: int
) -> None:
    hows = [How.CHANGE] * len(received)
    hows[refused % len(received)] = How.REFUSED
    run([], received, lag_ms=lag_ms, hows=hows)


@settings(max_examples=FEW)
@given(received=st.lists(reported(), min_size=1, max_size=25), hows=hows(How.REFUSED))
@example(received=FALLEN, hows=[How.REFUSED])
def test_answers_with_a_moving_time_leave_no_doubt(received: list[Told], hows: list[How]) -> None:
    run([], received, lag_ms=0, hows=hows, stamp=Stamp.ANSWERED)


@settings(max_examples=FEW)
@given(
    every_ms=st.sampled_from([10, 50, 200, 1_000, 3_000]),
    lag_ms=st.integers(0, 500),
    hows=hows(How.REFUSED, How.BOOK, How.LATE),
    stamp=st.sampled_from([Stamp.CHANGED, Stamp.STANDS]),
)
@example(every_ms=200, lag_ms=0, hows=[How.REFUSED], stamp=Stamp.CHANGED)
@example(every_ms=200, lag_ms=0, hows=[How.REFUSED] * 5 + [How.BOOK], stamp=Stamp.STANDS)
def test_repeatedly_unreadable_book_is_left_to_rest(
    every_ms: int, lag_ms: int, hows: list[How], stamp: Stamp
) -> None:
    run([], lively(every_ms), lag_ms=lag_ms, hows=hows, stamp=stamp)


@settings(max_examples=FEW)
@given(
    every_ms=st.sampled_from([50, 200, 1_000, 3_000]),
    lag_ms=st.integers(0, 500),
    stamp=st.sampled_from([Stamp.CHANGED, Stamp.STANDS]),
    hows=hows(How.REFUSED, How.BOOK),
)
@example(every_ms=200, lag_ms=0, stamp=Stamp.CHANGED, hows=[How.CHANGE])
@example(every_ms=200, lag_ms=0, stamp=Stamp.CHANGED, hows=[How.CHANGE] * 4 + [How.BOOK])
def test_always_misstated_best_prices_leave_the_book_to_rest(
    every_ms: int, lag_ms: int, stamp: Stamp, hows: list[How]
) -> None:
    run(
        [],
        lively(every_ms),
        lag_ms=lag_ms,
        misstated=10_000,
        stamp=stamp,
        hows=[*hows, How.CHANGE],
    )
