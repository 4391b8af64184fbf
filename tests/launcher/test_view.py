"""What a person reads at the end of a run."""

from __future__ import annotations

import io

from rich.console import Console

from launcher import view
from launcher.core.summary import Numbers
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
