"""Test what a person reads at the end of a run."""

from __future__ import annotations

import io

from rich.console import Console

from launcher import view
from launcher.core.summary import BotNumbers, Numbers, RankedLeader, brief
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


def test_leaders_are_shown_in_their_order_and_told_once() -> None:
    leaders = (
        RankedLeader("0xa", trades="12", realised="-3.5", roi="-4.0%", win_rate="", gaps=1),
        RankedLeader("0xb", trades="3", realised="7", roi="", win_rate="60%", gaps=0),
    )
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    with view.LiveView(console, "http://127.0.0.1:1") as live:
        live.show(1.0, Numbers(leaders=leaders), [])
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines() if "0x" in line]
    assert [line[1:7] for line in lines[-2:]] == [
        ["0xa", "12", "-3.5", "-4.0%", "-", "no"],
        ["0xb", "3", "7", "-", "60%", "yes"],
    ]
    plain = Console(file=io.StringIO(), width=200)
    with view.PlainView(plain) as shown:
        for seconds in (1.0, 7.0, 13.0):
            shown.show(seconds, Numbers(leaders=leaders if seconds > 1 else ()), [])
    assert isinstance(plain.file, io.StringIO)
    reported = [line.strip() for line in plain.file.getvalue().splitlines()]
    assert [line for line in reported if line.startswith("leader ")] == [
        "leader 1: 0xa 12 trades, realised -3.5 USDC, ROI -4.0%; no evidence yet",
        "leader 2: 0xb 3 trades, realised 7 USDC, 60% won",
    ]


def test_bots_are_shown_with_their_quotes_and_fills() -> None:
    numbers = Numbers(bots=(BotNumbers(name="paper", state="RUNNING", quotes=2, fills=7),))
    console = Console(file=io.StringIO(), width=200)
    view.PlainView(console).show(1.0, numbers, [])
    assert isinstance(console.file, io.StringIO)
    assert "bot paper RUNNING: 2 quotes, 7 fills" in console.file.getvalue()
    live = Console(file=io.StringIO(), width=200, force_terminal=True)
    with view.LiveView(live, "http://127.0.0.1:1") as shown:
        shown.show(1.0, numbers, [])
    assert isinstance(live.file, io.StringIO)
    words = [line.split() for line in live.file.getvalue().splitlines()]
    assert any(line[1:5] == ["paper", "RUNNING", "2", "7"] for line in words)
