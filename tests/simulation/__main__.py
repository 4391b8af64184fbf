"""Command line: ``python -m tests.simulation --seeds 2000 [--from 1] [--jobs 2]``.

Runs seeds one after the other and stops at the first that breaks an invariant: its history is
printed, and how to see it again. The same seed gives the same history on every machine: strings
hash by `PYTHONHASHSEED=0`, which the program gives itself.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from tests.simulation.mutations import MUTATIONS
from tests.simulation.seeds import MUTATION_SEEDS, failing, run_seed, run_twice

_PROGRESS_SECONDS = 10.0


def main() -> int:
    """Run the seeds that were asked for; 1: one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--twice", action="store_true", help="run each twice and compare")
    parser.add_argument("--show", action="store_true", help="print every history")
    parser.add_argument(
        "--without",
        default="",
        choices=["", *MUTATIONS],
        help="a protection that is missing",
        metavar="PROTECTION",
    )
    parser.add_argument("--mutations", action="store_true", help="each one until a seed fails")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])  # noqa: S606
    # Who ends it means its processes as well, which would wait for work for ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # What is loaded now lives on: no collection between seeds needs to look at it.
    gc.collect()
    gc.freeze()
    if arguments.mutations:
        return _mutate(arguments.jobs)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    started = reported = time.monotonic()
    faults: Counter[str] = Counter()
    done = orders = decisions = 0
    one = (
        run_twice
        if arguments.twice
        else partial(run_seed, without=arguments.without, shown=arguments.show)
    )
    for outcome in _each(one, seeds, arguments.jobs):
        done += 1
        orders += outcome.orders
        decisions += outcome.decisions
        faults.update(outcome.faults)
        if arguments.show or outcome.breaches:
            _write(*outcome.lines)
        if outcome.breaches:
            _write("", *(f"{breach.invariant}: {breach.detail}" for breach in outcome.breaches))
            _write(f"seed {outcome.seed} failed; again: python -m tests.simulation --from"
                   f" {outcome.seed} --show")  # fmt: skip
            return 1
        if time.monotonic() - reported > _PROGRESS_SECONDS:
            reported = time.monotonic()
            _write(f"{done} of {len(seeds)} seeds, {done / (reported - started):.1f} a second")
    seconds = time.monotonic() - started
    _write(
        f"{done} seeds held in {seconds:.0f} s: {decisions} decisions, {orders} orders,"
        f" {faults.total()} faults",
        *(f"  {count:>7}  {kind}" for kind, count in faults.most_common()),
    )
    return 0


T = TypeVar("T")
R = TypeVar("R")


def _each(one: Callable[[T], R], of: Iterable[T], jobs: int) -> Iterator[R]:
    if jobs == 1:
        yield from map(one, of)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, gc.freeze) as pool:
        yield from pool.imap_unordered(one, of, chunksize=1)


def _mutate(jobs: int) -> int:
    """Look for a seed that fails without each protection; 1: one is not missed."""
    missed = 0
    for name, seed in _each(failing, MUTATIONS, jobs):
        missed += seed is None
        found = f"found by seed {seed}" if seed else f"NOT FOUND by {MUTATION_SEEDS} seeds"
        hint = MUTATIONS[name].seed
        stale = f" (by {hint} no more: tell the entry)" if seed and hint and seed != hint else ""
        _write(f"without '{name}': {found}{stale}")
    return 1 if missed else 0


def _write(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
