"""Seeds of the simulation hold, and each gives the same history whenever it is run."""

from __future__ import annotations

import subprocess
import sys


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program, which gives itself the hash seed that makes histories equal."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def test_seeds_hold_and_repeat() -> None:
    ended = simulate("--seeds", "8", "--twice")
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
