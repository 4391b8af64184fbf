"""A backlog is told once when it is there, and once when it is gone."""

from __future__ import annotations

from structlog.testing import capture_logs

from tradingtools.runtime.backlog import Backlog


async def test_a_backlog_is_told_when_it_begins_and_when_it_ends() -> None:
    ages = iter((0, 2_000, 2_001, 9_000, 500, -3))
    backlog = Backlog("router", lambda: next(ages), 2_000)
    with capture_logs() as reported:
        assert [await backlog.keeps_up() for _ in range(5)] == [True, True, False, False, True]
    assert [line.get("alert", False) for line in reported] == [True, False]
    assert reported[0]["age_ms"] == 2_001
    assert backlog.age_ms() == 0, "clocks differ"
