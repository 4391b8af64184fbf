"""Wall time: the system's at the beginning, PostgreSQL's as soon as it is told."""

from __future__ import annotations

import time

import pytest

from tradingtools import clock

HOUR_NS = 3_600 * 10**9
MS = 10**6


class _Machine:
    """The two clocks of a machine, in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_ns = 50 * HOUR_NS
        self.passed_ns = 7 * HOUR_NS
        monkeypatch.setattr(time, "time_ns", lambda: self.wall_ns)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.passed_ns)
        monkeypatch.setattr(clock, "_system", clock._System())
        monkeypatch.setattr(clock, "_clock", clock._system)

    def pass_time(self, ns: int) -> None:
        self.wall_ns += ns
        self.passed_ns += ns


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> _Machine:
    return _Machine(monkeypatch)


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS])
def test_without_a_lease_it_is_the_systems_clock(machine: _Machine, jump_ns: int) -> None:
    assert clock.now_ns() == 50 * HOUR_NS
    machine.wall_ns += jump_ns
    assert clock.now_ns() == 50 * HOUR_NS + jump_ns


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS])
def test_with_a_lease_a_step_of_it_changes_nothing(machine: _Machine, jump_ns: int) -> None:
    assert clock.agree(50 * HOUR_NS, clock.monotonic_ns()) == 0
    machine.wall_ns += jump_ns
    machine.pass_time(3 * MS)
    assert clock.now_ns() == 50 * HOUR_NS + 3 * MS


@pytest.mark.parametrize("off_ns", [HOUR_NS, -HOUR_NS, 200 * MS])
def test_the_databases_time_is_taken_over(machine: _Machine, off_ns: int) -> None:
    requested_ns = clock.monotonic_ns()
    machine.pass_time(10 * MS)
    assert clock.agree(50 * HOUR_NS + 5 * MS + off_ns, requested_ns) == off_ns
    assert clock.now_ns() == 50 * HOUR_NS + 10 * MS + off_ns
    assert clock.agree(clock.now_ns(), clock.monotonic_ns()) == 0


def test_a_difference_that_the_question_explains_is_none(machine: _Machine) -> None:
    requested_ns = clock.monotonic_ns()
    # It was told at once and heard late, or told late and heard at once: nobody can know.
    server_ns = clock.now_ns() - clock.TOLERATED_NS
    machine.pass_time(400 * MS)
    assert clock.agree(server_ns, requested_ns) == 0
    assert clock.now_ns() == 50 * HOUR_NS + 400 * MS


def test_pause_during_an_agreement_moves_no_clock(
    machine: _Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clock.agree(50 * HOUR_NS, clock.monotonic_ns()) == 0
    requested_ns, server_ns = clock.monotonic_ns(), clock.now_ns()

    def stood_still() -> int:
        read = machine.passed_ns
        machine.pass_time(5000 * MS)
        return read

    with monkeypatch.context() as slow:
        slow.setattr(time, "monotonic_ns", stood_still)
        assert clock.agree(server_ns, requested_ns) == 0
    assert clock.now_ns() == machine.wall_ns


def test_a_clock_that_replaces_the_systems_is_everybodys(machine: _Machine) -> None:
    class Still:
        def time_ns(self) -> int:
            return 1

        def monotonic_ns(self) -> int:
            return 1

    with clock.replaced(Still()):
        assert clock.agree(HOUR_NS, 0) == 0
        assert clock.now_ns() == 1
