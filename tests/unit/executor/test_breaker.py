"""The circuit breaker's table: when it opens, who may probe, and that one probe decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.core.breaker import (
    TRANSITIONS,
    Breaker,
    BreakerState,
    Event,
    Policy,
    after,
    is_failure,
    may_probe,
)

POLICY = Policy(failures=3, open_ms=1_000, longest_ms=5_000, probe_ms=2_000)
S, E = BreakerState, Event


def moved(breaker: Breaker, event: Event, now: int, who: str = "a") -> Breaker:
    found = after(breaker, event, now, POLICY, who=who, reason="down")
    assert found is not None
    return found


def test_a_probe_that_passes_closes_it() -> None:
    opened = moved(Breaker(), E.TRIPPED, 10)
    assert (opened.state, opened.retry_at_ms, opened.reason) == (S.OPEN, 1_010, "down")
    assert after(opened, E.PROBE_TAKEN, 1_009, POLICY, who="a") is None
    probing = moved(opened, E.PROBE_TAKEN, 1_010)
    assert (probing.state, probing.prober) == (S.HALF_OPEN, "a")
    closed = moved(probing, E.PROBE_PASSED, 1_100)
    assert (closed.state, closed.openings, closed.reason) == (S.CLOSED, 0, "")


def test_pause_doubles_while_probes_fail_up_to_a_bound() -> None:
    breaker, now, pauses = moved(Breaker(), E.TRIPPED, 0), 0, []
    for _ in range(5):
        pauses.append(breaker.retry_at_ms - now)
        now = breaker.retry_at_ms
        breaker = moved(moved(breaker, E.PROBE_TAKEN, now), E.PROBE_FAILED, now)
    assert pauses == [1_000, 2_000, 4_000, 5_000, 5_000]


def test_dead_executors_probe_is_replaced_and_reports_too_late() -> None:
    probing = moved(moved(Breaker(), E.TRIPPED, 0), E.PROBE_TAKEN, 1_000, "a")
    assert after(probing, E.PROBE_TAKEN, 2_999, POLICY, who="b") is None
    taken = moved(probing, E.PROBE_TAKEN, 3_000, "b")
    assert taken.prober == "b"
    for late in (E.PROBE_PASSED, E.PROBE_FAILED, E.PROBE_RETURNED):
        assert after(taken, late, 3_001, POLICY, who="a") is None


def test_probe_of_an_ended_lease_is_replaced_at_once() -> None:
    probing = moved(moved(Breaker(), E.TRIPPED, 0), E.PROBE_TAKEN, 1_000, "a")
    assert not may_probe(probing, 1_001, POLICY)
    taken = moved(replace(probing, prober_lives=False), E.PROBE_TAKEN, 1_001, "b")
    assert (taken.prober, taken.prober_lives, taken.retry_at_ms) == ("b", True, 3_001)
    assert not may_probe(taken, 1_002, POLICY)
    assert after(taken, E.PROBE_PASSED, 1_002, POLICY, who="a") is None


@pytest.mark.parametrize("event", [None, E.PROBE_TAKEN])
def test_clock_step_back_extends_no_pause(
    event: Event | None,
) -> None:
    hour = 3_600_000
    breaker = moved(Breaker(), E.TRIPPED, hour)
    if event is not None:
        breaker = moved(breaker, event, hour + 1_000)
    assert not may_probe(breaker, hour - 5_000, POLICY), "clocks that differ by a little"
    taken = moved(breaker, E.PROBE_TAKEN, 0, "b")
    assert (taken.prober, taken.retry_at_ms) == ("b", 2_000)


def test_a_probe_that_was_not_sent_costs_no_pause() -> None:
    opened = moved(Breaker(), E.TRIPPED, 0)
    back = moved(moved(opened, E.PROBE_TAKEN, 1_000), E.PROBE_RETURNED, 1_050)
    assert (back.state, back.openings, back.retry_at_ms) == (S.OPEN, 1, 1_050)


@given(st.lists(st.tuples(st.sampled_from(Event), st.integers(0, 2_500), st.sampled_from("ab"))))
def test_only_the_table_moves_it_and_each_move_has_a_version(
    events: list[tuple[Event, int, str]],
) -> None:
    breaker, now = Breaker(), 0
    for event, later, who in events:
        now += later
        target = after(breaker, event, now, POLICY, who=who)
        if target is None:
            continue
        assert TRANSITIONS[breaker.state, event] is target.state
        assert target.version == breaker.version + 1
        assert (target.state is S.HALF_OPEN) == bool(target.prober)
        breaker = target


@pytest.mark.parametrize(
    ("status", "failed"),
    [(None, True), (500, True), (503, True), (429, True), (200, False), (400, False), (422, False)],
)
def test_a_refusal_is_an_answer(status: int | None, failed: bool) -> None:
    assert is_failure(status) == failed
