"""The whole thing in one command, as a person starts it; judged by its summary and its check."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from launcher.core.invariants import CHECKS
from launcher.core.programs import ENGINE, PORTS
from launcher.startup import serving
from launcher.state import ROOT
from tests.acceptance.harness import Run, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLED = ("ingest", "bookfeed", "router", "executor", "confirm", "guard", "control", "envoy")
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
    until(lambda: not run.leftovers(), 20, "every process ends")


def test_a_run_ends_by_itself_and_proves_itself(directory: Path) -> None:
    with running(directory, TT_LAUNCHER_FOR_SECONDS="20") as run:
        run.says("subscriptions created")
        run.remember_tree()
        _assert_operators_can_look(run)
        _assert_rest_is_guarded(run)
        assert run.ends() == 0, run.output
        _assert_nothing_left(run)
    _assert_traded(run)
    assert _number(run, "leader_trades") >= 50
    assert all(process["starts"] == 1 for process in run.summary["processes"])
    # The evidence is kept: the check says the same afterwards, and needs nothing to run.
    check = [sys.executable, "-m", "launcher", "check", str(directory)]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"all {len(CHECKS)} checks hold" in done.stdout


def _port(run: Run, name: str) -> int:
    return run.note.port_base + PORTS.index(name)


def _assert_operators_can_look(run: Run) -> None:
    for name in ENGINE:
        port = _port(run, "control_internal" if name == "control" else name)
        assert serving(f"127.0.0.1:{port}"), name
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            services = ProtoReflectionDescriptorDatabase(channel).get_services()
        assert health_pb2.DESCRIPTOR.services_by_name["Health"].full_name in services
        assert any(service.startswith("tradingtools.v1.") for service in services), name


def _assert_rest_is_guarded(run: Run) -> None:
    url = f"{run.note.rest_url}/subscriptions"
    assert httpx.get(url, trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{run.note.rest_url}/health", trust_env=False).status_code == httpx.codes.OK


def test_kill_9_of_each_process_changes_nothing(directory: Path) -> None:
    with running(directory, TT_LAUNCHER_FOR_SECONDS="40") as run:
        run.says("subscriptions created")
        for name in (*KILLED, *KILLED_WORLD):
            _kill_and_see_again(run, name)
        assert run.ends() == 0, run.output
    _assert_traded(run)
    restarted = {p["name"] for p in run.summary["processes"] if p["starts"] > 1}
    assert restarted >= {*KILLED, *KILLED_WORLD}


def _kill_and_see_again(run: Run, name: str) -> None:
    pid = run.pids()[name]
    psutil.Process(pid).kill()
    until(lambda: run.pids()[name] != pid, 20, f"{name} is started again")
    # The next kill shall meet a system that trades, not one that is still down.
    time.sleep(0.5)


def test_two_copies_run_side_by_side(directory: Path) -> None:
    second = directory.with_name("second")
    with (
        running(directory, TT_LAUNCHER_FOR_SECONDS="8", TT_LAUNCHER_FOLLOWERS="1") as one,
        running(second, TT_LAUNCHER_FOR_SECONDS="8", TT_LAUNCHER_FOLLOWERS="1") as two,
    ):
        one.says("subscriptions created")
        two.says("subscriptions created")
        assert one.note.port_base != two.note.port_base
        assert (one.ends(), two.ends()) == (0, 0), one.output + two.output
    for run in (one, two):
        assert _number(run, "copied") > 0
        assert run.summary["breaches"] == []


def test_ctrl_c_ends_with_the_summary_and_leaves_nothing(directory: Path) -> None:
    with running(directory, TT_LAUNCHER_FOLLOWERS="1") as run:
        run.says("leader trades")
        run.remember_tree()
        run.interrupt()
        assert run.ends() == 0, run.output
        assert "invariants: all" in run.output
        _assert_nothing_left(run)


def test_kill_9_of_the_launcher_leaves_nothing_and_the_state_goes_on(directory: Path) -> None:
    with running(directory, TT_LAUNCHER_FOLLOWERS="1") as run:
        run.says("confirmed")
        run.remember_tree()
        base = run.note.port_base
        run.process.kill()
        run.process.wait()
        _assert_nothing_left(run)
    with running(directory, TT_LAUNCHER_FOLLOWERS="1", TT_LAUNCHER_FOR_SECONDS="5") as again:
        assert again.ends() == 0, again.output
        assert again.note.port_base == base
    assert again.summary["breaches"] == []


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
        ("TT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x", "TT_DATABASE_URL"),
        ("TT_EXECUTOR_POLL_MS", "soon", "not a whole number"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(
    directory: Path, name: str, value: str, words: str
) -> None:
    with running(directory, **{name: value}) as run:
        _assert_refused(run, name, words)


@pytest.mark.parametrize("name", ["TT_LAUNCHER_REST_PORT", "TT_ROUTER_LISTEN"])
def test_a_taken_port_is_named_in_one_line(directory: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        value = str(port) if name.endswith("PORT") else f"127.0.0.1:{port}"
        with running(directory, **{name: value}) as run:
            _assert_refused(run, name, f"port {port}", "taken")
