"""Command line: ``python -m tests.fault.chaos --seeds N [--minutes M]``.

A seeded, random mix of every fault under a steady workload, judged at the end of each seed by the
far side's journal and the database. Exit status 1, with the seed, when an invariant is broken.
The choice of faults repeats with the seed; the operating system's scheduling does not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

from tests.fault import judge
from tests.fault.faults import FAULTS
from tests.fault.rig import Rig, rig
from tests.fault.workload import Workload

_PER_SECOND = 6.0
_RECOVERY_SECONDS = 90.0
_MEBI = 1 << 20


class Report:
    """What the seeds so far have seen."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.worst: defaultdict[str, float] = defaultdict(float)
        self.peak_rss: defaultdict[str, int] = defaultdict(int)
        self.restarts: Counter[str] = Counter()

    def recovered(self, kind: str, seconds: float) -> None:
        """A fault ended, and a fresh trade went through so many seconds later."""
        self.injected[kind] += 1
        self.worst[kind] = max(self.worst[kind], seconds)

    def take(self, made: Rig, workload: Workload) -> None:
        """Add up one seed."""
        (row,) = made.world.sql(
            "select (select count(*) from orders) as orders,"
            " (select count(*) from orders where ordinal > 0 and purpose = 'ENTRY') as later_parts,"
            " (select count(*) from orders where purpose = 'GUARD_EXIT') as guard_exits,"
            " (select count(*) from decision) as decisions,"
            " (select count(*) from poison) as quarantined"
        )
        self.counts.update({name: int(value) for name, value in row.items()})
        for (state,) in ((r["state"],) for r in made.world.sql("select state from orders")):
            self.counts[f"orders {state}"] += 1
        self.counts["leader trades"] += len(workload.trades)
        self.counts["triggers"] += workload.triggers
        self.counts["pauses"] += len(workload.pauses)
        for name, rss in made.peak_rss.items():
            self.peak_rss[name] = max(self.peak_rss[name], rss)
        self.restarts.update(made.restarts)

    def text(self) -> str:
        """For people."""
        lines = ["faults injected, and the worst time until a fresh trade had gone through:"]
        lines += [
            f"  {kind:<28} {count:>5}   {self.worst[kind]:6.2f} s"
            for kind, count in sorted(self.injected.items())
        ]
        lines += ["counts:"]
        lines += [f"  {name:<28} {count:>7}" for name, count in sorted(self.counts.items())]
        lines += ["restarts:"]
        lines += [f"  {name:<28} {count:>7}" for name, count in sorted(self.restarts.items())]
        lines += ["peak memory:"]
        lines += [
            f"  {name:<28} {rss / _MEBI:7.1f} MiB" for name, rss in sorted(self.peak_rss.items())
        ]
        return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def one_seed(seed: int, until: float, report: Report, directory: Path) -> list[str]:
    """One seed on processes and stores of its own; returns what is broken."""
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    async with rig(directory, TT_INSIDERS_LONGEST_PROCESSING_MS="1000") as made:
        workload = Workload(made, seed)
        await workload.prepare()
        await workload.probe(_RECOVERY_SECONDS)
        traffic = asyncio.create_task(workload.run(_PER_SECOND))
        begun = time.monotonic()
        try:
            while time.monotonic() < until:
                kind = rng.choice(list(FAULTS))
                await FAULTS[kind](made, workload, rng)
                await made.heal()
                seconds = await workload.probe(_RECOVERY_SECONDS)
                report.recovered(kind, seconds)
                _say(
                    f"seed {seed} {time.monotonic() - begun:6.0f} s  {kind:<28} recovered in"
                    f" {seconds:5.2f} s  leader trades {len(workload.trades)}"
                )
                if traffic.done():
                    traffic.result()
        except AssertionError as error:
            return [f"{kind}: {error}"]
        finally:
            traffic.cancel()
            with suppress(asyncio.CancelledError):
                await traffic
        try:
            await workload.calm()
            await made.settled(workload.decisions, _RECOVERY_SECONDS)
        except AssertionError as error:
            return [f"after the last fault: {error}"]
        report.take(made, workload)
        broken = await judge.judge(made.world, workload.trades.values(), workload.pauses)
        return [f"{breach.invariant}: {breach.detail}" for breach in broken]


def main(arguments: list[str]) -> int:
    """Run the seeds; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.chaos")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all seeds together")
    given = parser.parse_args(arguments)
    if given.seeds < 1 or given.minutes <= 0:
        parser.error("--seeds and --minutes must be positive")
    report = Report()
    broken: list[str] = []
    share = given.minutes * 60 / given.seeds
    for seed in range(given.first, given.first + given.seeds):
        with tempfile.TemporaryDirectory(prefix="tt-chaos-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            broken = asyncio.run(one_seed(seed, time.monotonic() + share, report, directory))
            if broken:
                _keep_logs(directory, seed)
        if broken:
            break
    _say(report.text())
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
