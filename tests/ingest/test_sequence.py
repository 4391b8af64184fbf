"""Cursors that only rise, entry ids, incarnations, sampling, and when to try again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.core.pacing import Agenda, backoff_seconds
from services.ingest.core.sequence import (
    HIGHEST,
    Incarnation,
    Sampling,
    at_or_above,
    entry_id,
    from_entry_id,
    next_cursor,
)
from tradingtools.domain.errors import CursorOutOfRange, InvalidField

LIFE = Incarnation("0123456789abcdef")


@given(st.lists(st.integers(0, 2**41), min_size=1, max_size=50))
def test_cursors_rise_even_when_the_clock_does_not(times: list[int]) -> None:
    last = 0
    for now_ms in times:
        cursor = next_cursor(last, now_ms)
        assert cursor > last
        assert from_entry_id(entry_id(cursor)) == cursor
        assert LIFE.read(LIFE.write(cursor)) == cursor
        last = cursor


def test_an_entry_id_is_a_time_and_a_number() -> None:
    assert entry_id(next_cursor(0, 1_790_000_000_000)) == "1790000000000-0"
    assert entry_id(next_cursor(next_cursor(0, 5), 5)) == "5-1"


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
@example(0, 2**20)
@example(10**16 - 1, 2**20 - 1)
@example(10**16 - 1, 2**20)
def test_a_cursor_rises_above_every_id_that_one_can_rise_above(ms: int, n: int) -> None:
    cursor = at_or_above(f"{ms}-{n}")
    if cursor is None:
        highest_ms, highest_n = map(int, HIGHEST.split("-"))
        assert (ms, n) > (highest_ms, highest_n)
        return
    first, second = map(int, entry_id(cursor).split("-"))
    assert (first, second) >= (ms, n)
    assert from_entry_id(entry_id(cursor)) == cursor
    if n < 2**20:
        assert (first, second) == (ms, n)


def test_an_empty_cursor_is_the_beginning() -> None:
    assert LIFE.read("") == 0


@pytest.mark.parametrize("text", ["x", "0123456789abcdef", "0123456789abcdef-1-x", "--", "a-1-1-1"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        LIFE.read(text)


def test_a_cursor_of_another_incarnation_is_out_of_range() -> None:
    with pytest.raises(CursorOutOfRange):
        LIFE.read(Incarnation("fedcba9876543210").write(7))


def test_one_sample_a_reason_and_interval() -> None:
    sampling = Sampling(1_000)
    assert [sampling.allow("x", t) for t in (0, 1, 999, 1_000, 1_001)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert sampling.allow("y", 1)


def test_the_pause_grows_and_is_bounded() -> None:
    assert backoff_seconds(0, 1.0) == 0
    pauses = [backoff_seconds(failures, 1.0) for failures in range(1, 30)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    assert backoff_seconds(3, 0.0) == backoff_seconds(3, 1.0) / 2


def test_a_leader_is_looked_at_at_once_then_again_then_regularly() -> None:
    agenda = Agenda(poll_s=100, recheck_s=10)
    agenda.add("a", 0)
    assert agenda.take(0) == ["a"]
    assert agenda.take(9) == []
    assert agenda.take(10) == ["a"]
    assert agenda.take(109) == []
    assert agenda.take(110) == ["a"]


def test_a_gap_makes_everybody_due_twice() -> None:
    agenda = Agenda(poll_s=100, recheck_s=10)
    agenda.add("a", 0)
    agenda.take(0)
    agenda.take(10)
    agenda.gap(50)
    assert agenda.next_s(50) == 0
    assert agenda.take(50) == ["a"]
    assert agenda.next_s(50) == 10
    assert agenda.take(60) == ["a"]


def test_failure_is_retried_soon_and_a_dropped_leader_never() -> None:
    agenda = Agenda(poll_s=100, recheck_s=200)
    agenda.add("a", 0)
    agenda.take(0)
    agenda.retry("a", 0, 2)
    assert agenda.take(2) == ["a"]
    agenda.drop("a")
    agenda.retry("a", 3, 2)
    assert agenda.take(1_000) == []
    assert agenda.next_s(1_000) == 100


def test_a_failure_right_after_a_gap_keeps_the_second_look() -> None:
    agenda = Agenda(poll_s=100, recheck_s=10)
    agenda.add("a", 0)
    agenda.take(0)
    agenda.retry("a", 0, 2)
    assert agenda.take(2) == ["a"]
    assert agenda.take(9) == []
    assert agenda.take(10) == ["a"], "the look after the recheck time is still owed"
    assert agenda.next_s(10) == 100
