"""Test what a person reads at the end of a run."""

from __future__ import annotations

import io

from rich.console import Console

from launcher import view
from launcher.core.summary import Numbers, brief
from launcher.supervision import ProcessState


def _shown(state: str) -> str:
    console = Console(file=io.StringIO(), width=120)
    guard = ProcessState(name="guard", state=state, pid=0, exit_status=0, starts=1)
    console.print(view.summary(Numbers(), [guard]))
    assert isinstance(console.file, io.StringIO)
    (line,) = (line for line in console.file.getvalue().splitlines() if "guard" in line)
    return " ".join(line.split())


def test_who_is_stopped_by_the_end_does_not_look_like_a_crash() -> None:
    assert _shown("STOPPED") == "guard stopped at the end 0"


def test_who_died_does() -> None:
    assert _shown("FATAL") == "guard FATAL 0"


def test_a_backlog_is_seen_while_it_is_there() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    behind = Numbers(backlogs=(("executor", 40), ("router", 38_000)))
    with view.LiveView(console, "http://127.0.0.1:1") as live:
        live.show(1.0, behind, [])
    assert isinstance(console.file, io.StringIO)
    lines = [line for line in console.file.getvalue().splitlines() if "router" in line]
    assert "38000" in lines[-1]
    assert brief(behind).endswith("; behind by 38.0 s")
    assert "behind" not in brief(Numbers(backlogs=(("router", 3),)))


def test_what_a_person_is_called_for_is_shown() -> None:
    numbers = Numbers(alerts=("Trading is halted: GLOBAL is HALTED ([bold]why[/])", "older"))
    assert "alert: Trading is halted: GLOBAL is HALTED ([bold]why[/])" in brief(numbers)
