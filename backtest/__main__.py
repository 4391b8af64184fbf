"""Command line: ``python -m backtest``, as `tt bots backtest` runs it; the plan is on stdin.

Standard output is lines of JSON: ``progress`` as often as there is some, at last ``answer`` or
``error``. The exit status is 0 for an answer, 2 for a plan that is
refused or a strategy that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from backtest import report
from backtest.plan import Plan, PlanError, combinations, played, trial
from backtest.result import summed
from backtest.run import StrategyError
from backtest.sweep import sweep
from tradingtools.domain.backtests import Backtests, Result

_STANDS_BACK = 5
"""The least niceness of what is computed beside an engine."""


def main(arguments: list[str] | None = None) -> int:
    """Run one plan."""
    parser = argparse.ArgumentParser(prog="python -m backtest")
    parser.add_argument("--report", type=Path, help="file of HTML to write")
    parser.add_argument("--jobs", type=int, default=0, help="processes of a sweep; 0: all cores")
    given = parser.parse_args(arguments)
    os.nice(max(0, _STANDS_BACK - os.nice(0)))
    try:
        plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
        results, html = _swept(plan, given.jobs) if plan.vary else _once(plan)
        if given.report:
            given.report.write_text(html, encoding="utf-8")
    except (PlanError, StrategyError, msgspec.MsgspecError, ValueError) as error:
        _say({"error": str(error)})
        return 2
    except OSError as error:
        _say({"error": f"{error.filename}: {error.strerror}"})
        return 2
    _say({"answer": msgspec.to_builtins(Backtests(runs=results))})
    return 0


def _once(plan: Plan) -> tuple[list[Result], str]:
    one = trial(plan)
    outcome = played(one)
    reported = summed(one, outcome)
    return [reported], report.page(one, outcome, reported)


def _swept(plan: Plan, jobs: int) -> tuple[list[Result], str]:
    total, results = len(combinations(plan)), []
    for result in sweep(plan, jobs or os.cpu_count() or 1):
        results.append(result)
        _say({"progress": {"done": len(results), "of": total}})
    if not results:
        raise PlanError("--vary: no value to try")
    return results, report.sweep_page(results)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
