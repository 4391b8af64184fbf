"""The whole thing in one command, as a person starts it; judged by its summary and its check."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from launcher.core.invariants import CHECKS
from launcher.state import ROOT
from tests.acceptance.harness import END_SECONDS, Run, running, started, until, venue_elsewhere
from tests.acceptance.looking import (
    decisions_replay_equal,
    each_process_has_its_own_alone,
    every_stream_can_be_tailed,
    gains_are_the_ledger,
    leaders_are_ranked,
    operators_can_look,
    rest_is_guarded,
    the_note_tells_where_to_call,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLED = (
    "ingest",
    "bookfeed",
    "router",
    "executor",
    "confirm",
    "guard",
    "control",
    "events",
    "alerts",
    "envoy",
)
KILLED_WORLD = ("insiders", "venue", "valkey", "postgres")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A state directory that an unprivileged PostgreSQL may reach; pytest's own it may not."""
    parent = Path(tempfile.mkdtemp(prefix="tt-acceptance-"))
    parent.chmod(0o755)
    yield parent / "run"
    shutil.rmtree(parent, ignore_errors=True)


def _number(run: Run, *path: str) -> int:
    value = run.summary["numbers"]
    for name in path:
        value = value.get(name, {})
    return int(value or 0)


def _assert_traded(run: Run) -> None:
    """It did the whole of its work: copies, skips, both kinds of trigger, nothing broken."""
    assert run.summary["breaches"] == [], run.output
    assert "invariants: all" in run.output
    assert _number(run, "orders", "CONFIRMED") > 0
    assert run.summary["numbers"]["skips"], "skips have reasons"
    assert all(reason for reason, _ in run.summary["numbers"]["skips"])
    for kind in ("TAKE_PROFIT", "STOP_LOSS"):
        fired, confirmed = run.summary["numbers"]["fired"][kind]
        assert fired >= confirmed > 0, kind


def _assert_nothing_left(run: Run) -> None:
    until(lambda: not run.leftovers(), 60, "every process ends")


def test_run_survives_kills_and_proves_itself(directory: Path) -> None:
    # Until it has done it: how much a run of so many seconds does is the machine's affair.
    work = Counter(trades=50, confirmed=20, stop_loss=2, take_profit=2)
    with started(directory) as run:
        run.says("subscriptions created")
        operators_can_look(run)
        each_process_has_its_own_alone(run)
        rest_is_guarded(run)
        the_note_tells_where_to_call(run)
        every_stream_can_be_tailed(run)
        leaders_are_ranked(run)
        until(lambda: run.counts() >= work, END_SECONDS, f"{work}")
        gains_are_the_ledger(run)
        decisions_replay_equal(run, killed=False)
        assert set(run.starts().values()) == {1}
        for name in (*KILLED, *KILLED_WORLD):
            _kill_and_see_again(run, name)
        # It does all of its work with what was started again, and ends when it has.
        before = run.counts()
        more = Counter(confirmed=20, stop_loss=1, take_profit=1)
        until(lambda: run.counts() >= before + more, END_SECONDS, f"trades after kills, {before}")
        gains_are_the_ledger(run)
        decisions_replay_equal(run, killed=True)
        run.remember_tree()
        run.interrupt()
        assert run.ends() == 0, run.output
        _assert_nothing_left(run)
    _assert_traded(run)
    restarted = {p["name"] for p in run.summary["processes"] if p["starts"] > 1}
    assert restarted >= {*KILLED, *KILLED_WORLD}
    # The evidence is kept: the check says the same afterwards, and needs nothing to run.
    check = [sys.executable, "-m", "launcher", "check", str(directory)]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"all {len(CHECKS)} checks hold" in done.stdout


def _kill_and_see_again(run: Run, name: str) -> None:
    pid = run.pids()[name]
    # It may have ended by itself, over what was killed before it.
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()
    until(lambda: run.pids()[name] != pid, 60, f"{name} is started again")
    # The next kill shall meet a system that trades, not one that is still down.
    time.sleep(0.5)


@pytest.mark.long
def test_two_runs_side_by_side_kill_9_leaves_nothing(
    directory: Path,
) -> None:
    """One on the replay, one on live feeds; that one is killed does not disturb the other."""
    work, second = Counter(confirmed=1), directory.with_name("second")
    # Little work: how much a run can do is not what is asked here. Each asset that was ever traded
    # goes on costing venue and bookfeed something.
    calm = {
        "TT_VENUE_FIREHOSE_PER_SECOND": "0",
        "TT_VENUE_LATE_PERMILLE": "0",
        "TT_VENUE_MEAN_GAP_MS": "400",
        "TT_VENUE_MAX_GAP_MS": "1500",
    }
    little = {"TT_LAUNCHER_FOLLOWERS": "1", **calm}
    with (
        venue_elsewhere(directory.with_name("venue"), **calm) as feeds,
        running(directory, **little) as one,
    ):
        with running(second, **little, **feeds) as two:
            for run in (one, two):
                run.says("subscriptions created")
                until(lambda run=run: run.counts() >= work, END_SECONDS, f"{work} in {run.output}")  # type: ignore[misc]
            assert one.note.port_base != two.note.port_base
            base = two.note.port_base
            two.remember_tree()
            two.process.kill()
            two.process.wait()
            _assert_nothing_left(two)
        # Its state goes on, at the same ports.
        with running(second, **little, **feeds, TT_LAUNCHER_FOR_SECONDS="5") as two:
            assert two.ends() == 0, two.output
            assert two.note.port_base == base
        assert one.process.poll() is None, one.output
        one.remember_tree()
        one.interrupt()
        assert one.ends() == 0, one.output
        assert "invariants: all" in one.output
        _assert_nothing_left(one)
    for run in (one, two):
        assert _number(run, "copied") > 0
        assert _number(run, "orders", "CONFIRMED") > 0
        assert run.summary["breaches"] == [], run.output
    _assert_own_world(one, {"venue", "insiders"})
    _assert_own_world(two, {"insiders"})


def _assert_own_world(run: Run, expected: set[str]) -> None:
    """Return which of the paper parts it brought itself: on live feeds no venue, and never real
    orders."""
    names = {process["name"] for process in run.summary["processes"]}
    assert names & {"venue", "insiders"} == expected


def _assert_refused(run: Run, *words: str) -> None:
    assert run.ends() == 2
    last = run.output.strip().splitlines()[-1]
    assert all(word in last for word in words), run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TT_LAUNCHER_FOLOWERS", "3", "no such setting"),
        ("TT_LAUNCHER_FOLLOWERS", "many", "not a whole number"),
        ("TT_ROUTERS", "x", "no such setting"),
        ("TT_GUARD_LISTEN", "nowhere", "host:port"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(
    directory: Path, name: str, value: str, words: str
) -> None:
    with running(directory, **{name: value}) as run:
        _assert_refused(run, name, words)


def test_what_is_found_wrong_while_starting_is_named_in_one_line(directory: Path) -> None:
    # Both take long: one waits for a database, the other has to come as far as the engine.
    url = "postgresql://nobody@127.0.0.1:1/x"
    with (
        running(directory, TT_DATABASE_URL=url) as nowhere,
        running(directory.with_name("second"), TT_EXECUTOR_POLL_MS="soon") as unread,
    ):
        _assert_refused(nowhere, "TT_DATABASE_URL")
        _assert_refused(unread, "TT_EXECUTOR_POLL_MS", "not a whole number")


@pytest.mark.parametrize("name", ["TT_LAUNCHER_REST_PORT", "TT_ROUTER_LISTEN"])
def test_a_taken_port_is_named_in_one_line(directory: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        value = str(port) if name.endswith("PORT") else f"127.0.0.1:{port}"
        with running(directory, **{name: value}) as run:
            _assert_refused(run, name, f"port {port}", "taken")
