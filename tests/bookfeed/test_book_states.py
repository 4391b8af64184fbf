"""A book runs by the table of its states: random walks take every transition, and no other."""

from __future__ import annotations

from random import Random

import pytest

from services.bookfeed.core import book_state
from services.bookfeed.core.book_state import BookState
from services.bookfeed.core.book_states import (
    DOUBTFUL,
    IN_DOUBT,
    ON_SOCKET,
    REST_ALONE,
    TRANSITIONS,
    BookEvent,
    Trust,
    after,
)
from services.bookfeed.core.snapshot_audit import LevelChange, Levels, RestBook

_PRICES = (300_000, 400_000, 500_000, 600_000)
Step = tuple[Trust, BookEvent]


def _levels(rng: Random) -> tuple[Levels, Levels]:
    """Return sides that are crossed now and then."""
    bid, ask = rng.choice(_PRICES), rng.choice(_PRICES)
    return [(bid, 10)] * rng.randint(0, 1), [(ask, 10)] * rng.randint(0, 1)


def _change(rng: Random) -> LevelChange:
    best = (None, *_PRICES)
    return LevelChange(
        rng.random() < 0.5, rng.choice(_PRICES), rng.choice((0, 10)),
        rng.choice(best), rng.choice(best),
    )  # fmt: skip


def _receive(book: BookState, rng: Random, now_ms: int) -> None:
    # The venue's times are a little before or after one another, as they are over two ways.
    book_ms, now_ns = now_ms - rng.randint(0, 2_000), now_ms * 1_000_000
    match rng.randrange(6):
        case 0:
            book.snapshot(*_levels(rng), book_ms, now_ns)
        case 1:
            book.changes([_change(rng)], book_ms, now_ns)
        case 2:
            book.refused()
        case 3:
            book.disconnected()
        case 4:
            book.missed(now_ms)
        case _:
            answer = RestBook(*_levels(rng), book_ms)
            book.end_resync(answer if rng.random() < 0.9 else None,
                            now_ms=now_ms, received_ns=now_ns)  # fmt: skip


def _walk(seed: int) -> None:
    """Walk at random; what the code asks of a state holds throughout."""
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    book, now_ms = BookState(), 1_000_000
    for _ in range(rng.randint(1, 60)):
        now_ms += rng.choice((1, 100, 2_000))
        if not book.resyncing and rng.random() < 0.5:
            book.begin_resync(now_ms)
            now_ms += rng.choice((1, 100))
        _receive(book, rng, now_ms)
        assert not (book.wants_resync(now_ms) and book.wants_refresh(now_ms))
        # A crossed book is never one that may be traded on.
        assert book.trust is not Trust.FRESH or not book.book.crossed


def test_walks_take_every_transition_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[Step] = set()

    def note(state: Trust, event: BookEvent) -> Trust:
        follows = after(state, event)
        if follows is not state:
            taken.add((state, event))
        return follows

    monkeypatch.setattr(book_state, "after", note)
    for seed in range(3_000):
        _walk(seed)
    assert taken == set(TRANSITIONS)


def test_a_transition_of_the_table_changes_the_state() -> None:
    assert all(follows is not state for (state, _), follows in TRANSITIONS.items())


def test_who_keeps_a_book_whole_follows_from_its_state() -> None:
    assert not IN_DOUBT & REST_ALONE
    assert set(Trust) - IN_DOUBT - REST_ALONE == {Trust.FRESH}
    assert DOUBTFUL >= IN_DOUBT
    assert {Trust.FRESH} == ON_SOCKET - DOUBTFUL
