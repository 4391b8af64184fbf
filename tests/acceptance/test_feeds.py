"""The same processes on a feed that repeats itself."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from launcher import web
from launcher.state import ROOT
from tests.acceptance.harness import Run, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A state directory that an unprivileged PostgreSQL may reach; pytest's own it may not."""
    parent = Path(tempfile.mkdtemp(prefix="tt-acceptance-"))
    parent.chmod(0o755)
    yield parent / "run"
    shutil.rmtree(parent, ignore_errors=True)


def _laps(run: Run) -> int:
    url = f"http://127.0.0.1:{run.port('venue_control')}/state"
    return int(httpx.get(url, timeout=20, trust_env=False, verify=web.context()).json()["lap"])


def test_the_same_tape_twice_orders_nothing_twice(directory: Path, tmp_path: Path) -> None:
    sample = ROOT / "paper" / "venue" / "sample" / "leader_trades_2026-07.jsonl"
    tape = tmp_path / "tape.jsonl"
    tape.write_text("\n".join(sample.read_text().splitlines()[:40]) + "\n")
    with running(
        directory,
        TT_LAUNCHER_FOLLOWERS="2",
        TT_VENUE_TAPE=str(tape),
        TT_VENUE_REPEAT="true",
        TT_VENUE_LOOP="true",
        # It has three laps to go.
        TT_VENUE_MEAN_GAP_MS="60",
        TT_VENUE_MAX_GAP_MS="300",
        TT_VENUE_FIREHOSE_PER_SECOND="0",
    ) as run:
        run.says("subscriptions created")
        until(lambda: _laps(run) >= 3, 120, "the tape is played three times")
        run.interrupt()
        assert run.ends() == 0, run.output
    assert run.summary["breaches"] == [], run.output
    decided = run.summary["numbers"]
    hashes = {line.split('"transactionHash":"')[1][:66] for line in tape.read_text().splitlines()}
    # Played several times over two sockets; still as many leader trades as the tape has.
    assert 0 < decided["leader_trades"] <= len(hashes)
    assert decided["orders"]["CONFIRMED"] > 0
