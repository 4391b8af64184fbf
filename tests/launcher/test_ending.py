"""The end of a run that somebody does not wait for is judged by what holds at any time."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from typing import Any, cast

import pytest

from launcher import ending
from launcher.core.evidence import Evidence
from launcher.core.invariants import AT_ANY_TIME, CHECKS, judged
from launcher.observe import Observer
from launcher.prepare import Prepared
from launcher.supervision import Supervisor
from tests.launcher.test_invariants import BUY, _with_order, whole


class _Run:
    """Stands in for a run whose orders are under way until somebody says otherwise."""

    venue_control_url = ""

    def __init__(self, opened: int) -> None:
        self._opened = opened
        self.stopped: list[str] = []

    def program(self, name: str) -> str:
        return name

    def stop(self, program: str) -> None:
        self.stopped.append(program)

    def open_orders(self) -> int:
        return self._opened


def _end(
    monkeypatch: pytest.MonkeyPatch, run: _Run, evidence: Evidence, *, schedule_soon: bool
) -> ending.Ending:
    def collect(_prepared: Any, *, settled: bool) -> Evidence:
        return evidence if settled else _unsettled(evidence)

    monkeypatch.setattr(ending, "collect", collect)
    impatient = Event()
    if schedule_soon:
        impatient.set()
    return ending.end(
        cast(Prepared, run), cast(Supervisor, run), cast(Observer, run), seconds=0.1,
        schedule_soon=impatient,
    )  # fmt: skip


def _unsettled(evidence: Evidence) -> Evidence:
    return replace(evidence, settled=False)


def test_a_second_ctrl_c_breaks_nothing_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _Run(opened=1)
    under_way = _with_order(BUY, state="UNKNOWN")(whole())
    ended = _end(monkeypatch, run, under_way, schedule_soon=True)
    assert "I3" not in {breach.invariant.split()[0] for breach in ended.breaches}
    assert not ended.evidence.settled
    assert judged(ended.evidence) == AT_ANY_TIME
    assert run.stopped == ["guard", "router"]


def test_who_waits_is_told_what_is_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = _end(
        monkeypatch, _Run(opened=1), _with_order(BUY, state="UNKNOWN")(whole()), schedule_soon=False
    )
    assert "I3" in {breach.invariant.split()[0] for breach in ended.breaches}
    assert judged(ended.evidence) == tuple(CHECKS)
