"""Command line: ``python -m tests.fault.chaos --seeds N [--minutes M] [--out FILE]``.

A seeded, random mix of every fault under a steady workload, judged at the end of each seed by the
far side's journal and the database. Ends with a report (`report.py`), as text and as JSON; exit
status 1, with the seed, when an invariant is broken.
The choice of faults repeats with the seed; the operating system's scheduling does not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.fault.faults import FAULTS
from tests.fault.report import Report
from tests.fault.rig import rig
from tests.fault.trading import ended
from tests.fault.workload import Workload

_RECOVERY_SECONDS = 90.0
_RESOLVING = 4


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def one_seed(
    seed: int, share: float, rate: float, report: Report, directory: Path
) -> list[str]:
    """One seed on processes and stores of its own; returns what is broken.

    Args:
        seed: of the choice of faults and of the workload.
        share: seconds during which faults are injected.
        rate: steps of the workload a second.
        report: gets what happened.
        directory: of logs.
    """
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    async with rig(directory, TT_INSIDERS_LONGEST_PROCESSING_MS="1000") as made:
        workload = Workload(made, seed, resolving=_RESOLVING)
        await workload.prepare()
        await workload.probe(_RECOVERY_SECONDS)
        traffic = asyncio.create_task(workload.run(rate))
        started = time.monotonic()
        bag: list[str] = []
        try:
            while time.monotonic() < started + share:
                # Each kind once before one comes again.
                bag = bag or rng.sample(list(FAULTS), len(FAULTS))
                kind = bag.pop()
                await FAULTS[kind](made, workload, rng)
                await made.heal()
                seconds = await workload.probe(_RECOVERY_SECONDS)
                report.recovered(kind, seconds)
                _say(
                    f"seed {seed} {time.monotonic() - started:6.0f} s  {kind:<28} recovered in"
                    f" {seconds:5.2f} s  leader trades {len(workload.trades)}"
                )
                if traffic.done():
                    traffic.result()
        except AssertionError as error:
            return [f"{kind}: {error}"]
        finally:
            await ended(traffic)
        try:
            await workload.calm()
            broken = await workload.verdict(_RECOVERY_SECONDS)
        except AssertionError as error:
            return [f"after the last fault: {error}"]
        report.take(made, workload)
        return [f"{breach.invariant}: {breach.detail}" for breach in broken]


def main(arguments: list[str]) -> int:
    """Run the seeds; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.chaos")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all seeds together")
    parser.add_argument("--rate", type=float, default=6.0, help="steps of the workload a second")
    parser.add_argument("--out", type=Path, default=Path(".state/chaos.json"), help="the report")
    given = parser.parse_args(arguments)
    if given.seeds < 1 or given.minutes <= 0 or given.rate <= 0:
        parser.error("--seeds, --minutes and --rate must be positive")
    report = Report()
    broken: list[str] = []
    share = given.minutes * 60 / given.seeds
    for seed in range(given.first, given.first + given.seeds):
        with tempfile.TemporaryDirectory(prefix="tt-chaos-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            try:
                broken = asyncio.run(one_seed(seed, share, given.rate, report, directory))
            except Exception as error:  # noqa: BLE001 - what is known by then has to be told
                broken = [f"chaos itself failed: {error!r}"]
            if broken:
                _keep_logs(directory, seed)
        if broken:
            break
    report.seeds = seed - given.first + 1
    report.broken = broken
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(report.json())
    _say(report.text())
    _say(f"the report as JSON: {given.out}")
    if broken:
        _say(f"BROKEN with --first {seed} --seeds 1:")
        for line in broken:
            _say(f"  {line}")
        return 1
    _say(f"{given.seeds} seeds, no invariant broken")
    return 0


def _keep_logs(directory: Path, seed: int) -> None:
    kept = Path(tempfile.mkdtemp(prefix=f"tt-chaos-seed-{seed}-"))
    for log in directory.glob("*.log"):
        (kept / log.name).write_bytes(log.read_bytes())
    _say(f"the logs of seed {seed} are kept in {kept}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
