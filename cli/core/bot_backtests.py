"""Backtests of bots as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.output import Column, table

LIVELY = ("updatesPerSecond", "printsPerSecond", "drift", "turnS")
"""Numbers of a seeded market: events a second, ticks a second, seconds until the trend turns."""
ASSUMED = ("latencyMs", "jitterMs", "makerFee", "takerFee", *LIVELY)
"""All that a backtest takes for granted; fees in parts of a million."""
_MAX_RUNS = 20
_AMOUNTS = ("result", "maxDrawdown", "volume")


def runs_lines(runs: Sequence[Any], report: Path | None) -> list[str]:
    """Return one run with its reasons, or the best of a sweep as a table."""
    lines = _one(runs[0]) if len(runs) == 1 else _best(runs)
    return [*lines, *([f"report: {report}"] if report else [])]


def _one(run: Any) -> list[str]:
    sources = ", ".join(f"{name} {amount}" for name, amount in run["sources"].items())
    return [
        (
            f"{run['strategy']}: {run['events']} events, {run['orders']} orders,"
            f" {run['fills']} fills, {run['makerFills']} as maker"
        ),
        f"result    {run['result']} {run['currency']}, largest drawdown {run['maxDrawdown']}",
        f"sources   {sources}",
        f"volume    {run['volume']}",
        f"position  {run['largestPosition']} at most",
        *(f"stopped by {breach}" for breach in run["breaches"]),
        *(f"  {slot}: {why}" for slot, why in run["explained"].items()),
    ]


def _best(runs: Sequence[Any]) -> list[str]:
    names = list(runs[0]["changes"])
    ranked = sorted(runs, key=lambda run: -float(run["result"]))[:_MAX_RUNS]
    columns = [
        *(Column(name, lambda run, name=name: run["changes"][name], right=True) for name in names),  # type: ignore[misc]
        *(Column(name, lambda run, name=name: run[name], right=True) for name in _AMOUNTS),  # type: ignore[misc]
        Column("fills", lambda run: run["fills"], right=True),
    ]
    head = f"{len(runs)} runs of {runs[0]['strategy']}, the best {len(ranked)} by result:"
    return [head, *table(ranked, columns).splitlines()]
