"""The table of a book's states, compared with random walks of the real object."""

from __future__ import annotations

from random import Random

import pytest

from services.bookfeed.core.book_state import BookState
from services.bookfeed.core.book_states import (
    IN_DOUBT,
    REST_ALONE,
    TRANSITIONS,
    BookEvent,
    Trust,
)
from services.bookfeed.core.snapshot_audit import LevelChange, Levels, RestBook

_PRICES = (300_000, 400_000, 500_000, 600_000)
Step = tuple[Trust, BookEvent, Trust]


def _levels(dice: Random) -> tuple[Levels, Levels]:
    """Return sides that are crossed now and then."""
    bid, ask = dice.choice(_PRICES), dice.choice(_PRICES)
    return [(bid, 10)] * dice.randint(0, 1), [(ask, 10)] * dice.randint(0, 1)


def _change(dice: Random) -> LevelChange:
    best = (None, *_PRICES)
    return LevelChange(
        dice.random() < 0.5, dice.choice(_PRICES), dice.choice((0, 10)),
        dice.choice(best), dice.choice(best),
    )  # fmt: skip


def _happen(book: BookState, event: BookEvent, dice: Random, now_ms: int) -> None:
    # The venue's times are a little before or after one another, as they are over two ways.
    book_ms, now_ns = now_ms - dice.randint(0, 2_000), now_ms * 1_000_000
    match event:
        case BookEvent.SNAPSHOT:
            book.snapshot(*_levels(dice), book_ms, now_ns)
        case BookEvent.CHANGES:
            book.changes([_change(dice)], book_ms, now_ns)
        case BookEvent.UNREADABLE:
            book.refused()
        case BookEvent.DISCONNECTED:
            book.disconnected()
        case BookEvent.MISSED:
            book.missed(now_ms)
        case BookEvent.REST_ANSWER:
            answer = RestBook(*_levels(dice), book_ms)
            book.end_resync(answer if dice.random() < 0.9 else None,
                            now_ms=now_ms, received_ns=now_ns)  # fmt: skip


def _walk(seed: int) -> set[Step]:
    """Return the changes of state of one walk; what the code asks of a state holds throughout."""
    dice = Random(seed)  # noqa: S311 - reproducible, not secret
    book, now_ms = BookState(), 1_000_000
    found: set[Step] = set()
    for _ in range(dice.randint(1, 60)):
        now_ms += dice.choice((1, 100, 2_000))
        if not book.resyncing and dice.random() < 0.5:
            book.begin_resync(now_ms)
            now_ms += dice.choice((1, 100))
        event = dice.choice(list(BookEvent))
        before = book.trust
        _happen(book, event, dice, now_ms)
        if book.trust is not before:
            found.add((before, event, book.trust))
        assert book.rest_alone == (book.trust in REST_ALONE)
        assert not (book.wants_resync(now_ms) and book.wants_refresh(now_ms))
    return found


def _walks(seeds: range) -> set[Step]:
    return {step for seed in seeds for step in _walk(seed)}


@pytest.mark.parametrize("seed", range(20))
def test_every_change_of_state_is_in_the_table(seed: int) -> None:
    assert _walks(range(seed * 100, seed * 100 + 100)) - TRANSITIONS == set()


def test_every_transition_of_the_table_is_taken_by_some_walk() -> None:
    assert TRANSITIONS - _walks(range(2_000)) == set()


def test_no_state_is_both_in_doubt_and_of_rest_alone() -> None:
    assert not IN_DOUBT & REST_ALONE
    assert set(Trust) - IN_DOUBT - REST_ALONE == {Trust.FRESH}
