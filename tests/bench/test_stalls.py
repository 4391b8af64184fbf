"""Exits beside a stall of the disk are told from the others by when they were under way."""

from __future__ import annotations

from bench.core.stalls import STALL_MS, Taken, divide


def _at(started_ms: float, ms: float) -> Taken:
    return Taken(int(started_ms * 1e6), ms)


STALL = _at(100, 50)


def test_whoever_was_under_way_beside_a_stall_stood_in_it() -> None:
    inside, around, into, out_of = _at(110, 20), _at(90, 80), _at(95, 10), _at(149, 30)
    exits = [inside, around, into, out_of]
    assert divide(exits, [STALL]).stalled == tuple(exits)


def test_neighbours_of_a_stall_are_not_counted() -> None:
    before, after = _at(70, 30), _at(150, 300)
    divided = divide([before, after], [STALL])
    assert divided.stalled == ()
    assert divided.others == (before, after)


def test_a_fast_exit_beside_a_stall_is_left_out_as_well() -> None:
    fast = _at(120, 1)
    assert divide([fast], [STALL]).others == ()


def test_a_commit_of_ordinary_length_is_no_stall() -> None:
    slow = _at(100, 40)
    assert divide([slow], [_at(110, STALL_MS)]).others == (slow,)
