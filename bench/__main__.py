"""Command line of the benchmark: `make bench`, `make bench-compare BASE=file`.

Exit status: 0; 1 when a run cannot go on or something got slower; 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

from bench import report, rounds
from bench.core.figures import Line, Setup, compare
from bench.machine import Watch, awake
from bench.system import BenchError
from launcher.prepare import PrepareError
from launcher.startup import StartError
from launcher.state import ROOT, StateError
from launcher.supervision import SupervisionError

_OUT = ROOT / ".state" / "bench.json"
_WIDTH = 170
_ROUNDS = {1: 60, 10: 60, 100: 40, 1000: 12}


def _setups(counts: Sequence[int], *, trades: int, whole: bool, reads: int) -> list[Setup]:
    plain = [Setup(followers=n, trades=trades, noise=100, answer_ms=0) for n in counts]
    if reads:
        return [replace(each, reads=reads) for each in plain]
    if not whole:
        return plain
    noisy = [Setup(followers=n, trades=1, noise=1000, answer_ms=0) for n in counts]
    slow = [Setup(followers=n, trades=1, noise=100, answer_ms=25) for n in counts]
    # A burst for a thousand followers would be twenty thousand orders.
    bursts = [Setup(followers=n, trades=20, noise=100, answer_ms=0) for n in counts if n <= 100]
    return [*plain, *noisy, *slow, *bursts]


def _times(setup: Setup, factor: float) -> int:
    nearest = min(_ROUNDS, key=lambda count: abs(count - setup.followers * setup.trades))
    return max(3, int(_ROUNDS[nearest] * factor))


async def _measure(arguments: argparse.Namespace, console: Console) -> list[Line]:
    lines: list[Line] = []
    async with rounds.match(arguments.followers, console.print, bare=arguments.skeleton) as match:
        with console.status("") as status:
            for setup in _setups(
                arguments.followers,
                trades=arguments.trades,
                whole=arguments.whole,
                reads=arguments.reads,
            ):
                desired = _times(setup, arguments.rounds)

                def progress(done: int, setup: Setup = setup, desired: int = desired) -> None:
                    status.update(f"{setup}: {done} of {desired} rounds")

                found: Sequence[Line]
                if setup.reads:
                    found = await match.play_beside(setup, desired, progress)
                else:
                    found = [await match.play(setup, desired, progress)]
                lines += found
                # Said at once: a run that is stopped has told what it knew.
                for each in found:
                    console.print(report.said(each))
    return lines


def main(arguments: Sequence[str]) -> int:
    """Measure, show, keep, compare; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--followers", type=_counts, default=[1, 10, 100, 1000])
    parser.add_argument("--rounds", type=float, default=1.0, help="factor on the usual rounds")
    parser.add_argument("--whole", action="store_true", help="also noise, slow answers, bursts")
    parser.add_argument("--trades", type=_count, default=1, help="of the leader in one moment")
    parser.add_argument("--reads", type=int, default=0, help="beside so many REST reads a second")
    parser.add_argument("--skeleton", action="store_true", help="the bare architecture beside")
    parser.add_argument("--awake", action="store_true", help="keep the cores from halting")
    parser.add_argument("--out", type=Path, default=_OUT, help="where the figures go (JSON)")
    parser.add_argument("--base", type=Path, help="an earlier run to compare with")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    try:
        base = report.read(given.base) if given.base else None
    except (OSError, msgspec.DecodeError) as error:
        parser.error(f"--base {given.base}: {error}")
    watch = Watch()
    try:
        with awake(desired=given.awake):
            lines = asyncio.run(_measure(given, console))
    except (BenchError, PrepareError, StartError, StateError, SupervisionError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    console.print(report.table(lines))
    for said in (*report.beside_skeleton(lines), *report.beside_reads(lines)):
        console.print(said)
    console.print(watch.said())
    report.keep(report.described(watch, lines), given.out)
    console.print(f"kept in {given.out}")
    if base is None:
        return 0
    changed = compare(base.lines, lines)
    console.print(report.changes(changed))
    return 1 if any(each.slower for each in changed) else 0


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if not counts or min(counts) < 1 or max(counts) > 10_000:
        raise argparse.ArgumentTypeError("numbers of followers from 1 to 10000, comma separated")
    return counts


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError("a number of trades from 1 to 100")
    return number


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
