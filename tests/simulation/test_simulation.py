"""Seeds of the simulation hold, and each gives the same history whenever it is run.

`make test` has hundreds of them beside the tests, and removes each protection in turn.
"""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from tests.simulation.loop import VirtualLoop
from tests.simulation.seeds import run_seed


def simulate(*arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run the program, which gives itself the hash seed that makes histories equal."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


def test_a_seed_leaves_nothing_behind() -> None:
    """Look through what stays of each seed after each of the others."""

    def loops() -> int:
        gc.collect()
        return sum(isinstance(kept, VirtualLoop) for kept in gc.get_objects())

    before = loops()
    run_seed(1)
    assert loops() <= before


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_seeds_hold_and_repeat() -> None:
    ended = simulate("--seeds", "8", "--twice", "--jobs", "2", seconds=400)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_five_thousand_seeds_hold() -> None:
    ended = simulate("--from", "10001", "--seeds", "5000", "--jobs", "2", seconds=1100)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
