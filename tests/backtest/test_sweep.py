"""A sweep of a thousand runs: on all cores, with the results of one."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import msgspec
import pytest

from backtest.plan import Plan
from backtest.sweep import sweep
from tests.backtest import bots

RUNS = 1_000
MOST_ASLEEP = 0.25
"""Part of its life that a process may wait for anything but a core."""


def worked(pids: list[int]) -> dict[int, float]:
    """Return the seconds that each process has run, or waited for a core."""
    found = {}
    for pid in pids:
        run, waited, _ = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
        found[pid] = (run + waited) / 1e9
    return found


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a_sweep_of_a_thousand_runs_keeps_every_core_busy_and_gives_what_one_gives() -> None:
    aversions = [f"{0.001 * (n + 1):.4f}" for n in range(RUNS // 2)]
    plan = msgspec.convert(
        {
            "bot": bots.file("market_making", "okx:BTC-USDT-SWAP"),
            "market": {"seconds": 5},
            "vary": {"riskAversion": aversions, "seed": ["1", "2"]},
        },
        Plan,
    )
    started = time.process_time()
    alone = list(sweep(plan, 1))
    cpu_alone = time.process_time() - started

    spread, first, last = [], {}, {}
    began_at = ended_at = 0.0
    jobs = max(os.cpu_count() or 1, 2)
    for one in sweep(plan, jobs):
        spread.append(one)
        if len(spread) == RUNS // 10:
            pids = [it.pid or 0 for it in multiprocessing.active_children()]
            began_at, first = time.monotonic(), worked(pids)
        elif len(spread) in (RUNS * 8 // 10, RUNS * 9 // 10):
            # The last tenth is as it may be: some have nothing to do any more.
            ended_at, last = time.monotonic(), worked(list(first))

    assert msgspec.json.encode(spread) == msgspec.json.encode(alone)
    assert len(first) == jobs
    asleep = {pid: 1 - (last[pid] - first[pid]) / (ended_at - began_at) for pid in first}
    print(f"alone {cpu_alone:.1f} s of a core; asleep: {sorted(asleep.values())}")  # noqa: T201
    assert max(asleep.values()) <= MOST_ASLEEP, asleep
