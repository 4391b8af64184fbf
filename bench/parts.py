"""Command line of what is measured beside the race against the floor: `make bench-parts`.

Exit status: 0; 1 when a run cannot go on; 2 for a wrong command line. Goals that are not met are
shown, and change nothing in it: what a machine reaches is for a reader to judge.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.console import Console

from bench import (
    changing,
    claiming,
    cold,
    deltas,
    fairness,
    filtering,
    first,
    memory,
    report,
    scaling,
    signing,
    starting,
)
from bench.core.sheet import Figure
from bench.machine import Watch
from bench.system import BenchError
from launcher.prepare import PrepareError
from launcher.startup import StartError
from launcher.state import ROOT, StateError
from launcher.supervision import SupervisionError

_OUT = ROOT / ".state" / "bench-parts.json"
_WIDTH = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParameters:
    """The measures of a run."""

    followers: int
    factor: float
    """On the usual length of each part."""


Say = Callable[[str], None]
PARTS: dict[str, Callable[[RunParameters, Say], Awaitable[list[Figure]]]] = {
    "fairness": lambda requested, say: fairness.measure(requested.followers, requested.factor, say),
    "filter": lambda requested, say: filtering.measure(requested.factor, say),
    "deltas": lambda requested, say: deltas.measure(requested.factor, say),
    "claims": lambda requested, say: claiming.measure(requested.factor, say),
    "memory": lambda requested, say: memory.measure(requested.factor, say),
    "start": lambda requested, say: starting.measure(requested.followers, say),
    "scale": lambda requested, say: scaling.measure(requested.factor, say),
    "cold": lambda requested, say: cold.measure(requested.factor, say),
    "first": lambda requested, say: first.measure(requested.factor, say),
    "sign": lambda requested, say: signing.measure(requested.factor, say),
    "patch": lambda requested, say: changing.measure(requested.factor, say),
}


async def _measure(
    names: Sequence[str], requested: RunParameters, console: Console
) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        watch = Watch()
        found = await PARTS[name](requested, console.print)
        # Shown at once: a run that is stopped has told what it knew.
        console.print(report.sheet(name, found))
        console.print(f"{name}: {watch.said()}")
        figures += found
    return figures


def main(arguments: Sequence[str]) -> int:
    """Measure, show, keep; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.parts", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--followers", type=int, default=1000, help="of the crowd")
    parser.add_argument("--rounds", type=float, default=1.0, help="factor on the usual length")
    parser.add_argument("--out", type=Path, default=_OUT, help="where the figures go (JSON)")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"parts: {', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    if not 2 <= given.followers <= 10_000:
        parser.error("--followers: from 2 to 10000")
    requested = RunParameters(followers=given.followers, factor=given.rounds)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    watch = Watch()
    try:
        figures = asyncio.run(_measure(given.parts or list(PARTS), requested, console))
    except (BenchError, PrepareError, StartError, StateError, SupervisionError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    report.keep(report.described(watch, figures=figures), given.out)
    console.print(f"kept in {given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
