"""Runs of `python -m backtest`, the backtest of bots, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.core.bot_backtests import ASSUMED, LIVELY
from cli.errors import Failure, Status

Json = dict[str, Any]
Told = Callable[[int, int], None]


def run(plan: Json, *, report: Path | None, jobs: int) -> Json:
    """Run a plan; on a terminal, show how far it is.

    Args:
        plan: as the tool takes it.
        report: file of HTML that it writes; None: none.
        jobs: processes of a sweep; 0: all cores.

    Raises:
        Failure: it refuses the plan, or ends without an answer.
    """
    arguments = ["--jobs", str(jobs), *(["--report", str(report)] if report else [])]
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with bar:
        task = bar.add_task("backtest", total=None if plan.get("vary") else 1)

        def notify(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        return _answer(arguments, plan, notify)


def _answer(arguments: Sequence[str], plan: Json, notify: Told) -> Json:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "backtest", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        if child.stdin:
            child.stdin.write(json.dumps(plan))
            child.stdin.close()
        answer: Json | None = None
        for line in child.stdout or ():
            reported = json.loads(line)
            if "progress" in reported:
                notify(reported["progress"]["done"], reported["progress"]["of"])
            elif "error" in reported:
                raise Failure(reported["error"], Status.USAGE)
            else:
                answer = reported["answer"]
    if answer is None:
        raise Failure(
            f"the backtest ended without an answer, status {child.returncode}", Status.INTERNAL
        )
    return answer


def plan(
    bot: Json, recording: Path | None, market: Json, assumed: Sequence[str], vary: Sequence[str]
) -> Json:
    """Return the plan that options ask for.

    Args:
        bot: its file.
        recording: of a market; None: a seeded one.
        market: seed and seconds of a seeded one.
        assumed: ``name=number``.
        vary: ``setting=value,value``.

    Raises:
        Failure: one of them is none.
    """
    known: Json = {}
    for one in assumed:
        name, _, value = one.partition("=")
        if name not in ASSUMED:
            raise Failure(f"--set {one}: expected one of {', '.join(ASSUMED)}", Status.USAGE)
        try:
            number = float(value)
        except ValueError:
            raise Failure(f"--set {one}: expected a number", Status.USAGE) from None
        known[name] = number if name in LIVELY else int(number)
    varied: dict[str, list[str]] = {}
    for one in vary:
        name, _, values = one.partition("=")
        if not name or not all(values.split(",")):
            raise Failure(f"--vary {one}: expected SETTING=VALUE,VALUE,...", Status.USAGE)
        varied[name] = values.split(",")
    lively = {name: known.pop(name) for name in LIVELY if name in known}
    return {
        "bot": {key: bot[key] for key in bot if key not in ("walletId", "tenant")},
        "recording": str(recording or ""),
        "market": {**market, **lively},
        "vary": varied,
        **known,
    }
