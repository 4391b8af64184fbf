"""Real supervisord, real kills: what is started comes up, comes back, and never stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from launcher import ports, supervision
from launcher.core.programs import Program
from launcher.state import ROOT, StateError, open_state
from launcher.supervision import ProcessState, Supervisor

pytestmark = pytest.mark.slow

SLEEPER = Program(
    name="sleeper",
    group="engine",
    command=(sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"),
    nice=3,
)
REFUSER = Program(
    name="refuser",
    group="engine",
    command=(sys.executable, "-c", "import sys; sys.exit('refuser: TT_X: no such setting')"),
)

TALKER = """
import sys, time
while True:
    print("a line of a log" * 1000, flush=True)
    with open(sys.argv[1], "a") as told:
        told.write("x")
    time.sleep(0.01)
"""
LAUNCH = """
import os, sys, time
from pathlib import Path
from launcher import supervision
from tests.launcher.test_supervision import SLEEPER
supervisor = supervision.start([SLEEPER], root=Path(os.getcwd()), directory=Path(sys.argv[1]),
                               sockets=Path(sys.argv[1]), environ=os.environ)
supervisor.start(SLEEPER)
while not all(s.pid for s in supervisor.states()):
    time.sleep(0.05)
print(supervisor.pid, supervisor.states()[0].pid, flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Poll until it holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Return whether a process has ended (a zombie that nobody reaps has)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "logs").mkdir()
    started = supervision.start(
        [SLEEPER, REFUSER], root=ROOT, directory=tmp_path, sockets=tmp_path, environ=os.environ
    )
    try:
        yield started
    finally:
        started.close()


def _state(supervisor: Supervisor, name: str) -> ProcessState:
    return next(state for state in supervisor.states() if state.name == name)


def test_a_killed_program_comes_back_and_is_counted(supervisor: Supervisor) -> None:
    supervisor.start(SLEEPER)
    until(lambda: _state(supervisor, "sleeper").state == "RUNNING")
    first = _state(supervisor, "sleeper")
    psutil.Process(first.pid).kill()
    until(
        lambda: (
            _state(supervisor, "sleeper").restarts == 1
            and _state(supervisor, "sleeper").pid not in (0, first.pid)
        )
    )
    second = _state(supervisor, "sleeper").pid
    supervisor.close()
    assert gone(second)
    assert gone(supervisor.pid)


def test_the_last_word_of_a_program_is_known(supervisor: Supervisor) -> None:
    supervisor.start(REFUSER)
    until(lambda: supervisor.last_line("refuser") == "refuser: TT_X: no such setting")
    until(lambda: _state(supervisor, "refuser").exit_status == 1)


def test_logs_are_nobody_else_s_to_read(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(SLEEPER)
    until(lambda: supervisor.last_line("sleeper") == "up")
    logs = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "logs").iterdir()}
    assert "sleeper.log" in logs
    assert set(logs.values()) == {0o600}, logs


def test_a_program_stands_back_as_far_as_it_is_told(supervisor: Supervisor) -> None:
    supervisor.start(SLEEPER)
    until(lambda: _state(supervisor, "sleeper").pid > 0)
    sleeper = psutil.Process(_state(supervisor, "sleeper").pid)
    until(lambda: sleeper.nice() == min(psutil.Process().nice() + 3, 19))
    # Niceness counts inside of a session where the scheduler makes a group of each.
    until(lambda: os.getsid(sleeper.pid) == sleeper.pid)
    group = Path(f"/proc/{sleeper.pid}/autogroup")
    # It is told last, and again when the kernel takes no change for a moment.
    until(lambda: not group.exists() or group.read_text().split()[-1:] in ([], ["3"]))


def _open_files(pid: int) -> set[str]:
    found = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(one.readlink()))
    return found


def test_a_disk_without_room_ends_nothing(tmp_path: Path) -> None:
    """Neither for logs nor for what supervisord has to say of it."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "supervisor-start.log").symlink_to("/dev/full")
    reported = tmp_path / "told"
    script = tmp_path / "talker.py"
    script.write_text(TALKER)
    command = (sys.executable, str(script), str(reported))
    talker = Program(name="talker", group="engine", command=command)
    started = supervision.start(
        [talker], root=ROOT, directory=tmp_path, sockets=tmp_path, environ=os.environ
    )
    try:
        started.start(talker)
        until(lambda: _state(started, "talker").state == "RUNNING")
        first = _state(started, "talker").pid
        own, kept = logs / "supervisord.log", logs / "kept.log"
        own.rename(kept)
        (logs / "talker.log").unlink()
        for full in (own, logs / "talker.log"):
            full.symlink_to("/dev/full")
        os.kill(started.pid, signal.SIGUSR2)  # it opens its logs anew
        until(lambda: str(kept) not in _open_files(started.pid))
        kept.replace(own)
        lines = reported.stat().st_size
        until(lambda: gone(started.pid) or reported.stat().st_size > lines + 50)
        assert _state(started, "talker").pid == first
    finally:
        started.close()


def test_what_keeps_supervisord_from_starting_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    sockets = tmp_path / "no-such-directory"
    with pytest.raises(supervision.SupervisionError, match="Cannot open an HTTP server"):
        supervision.start(
            [SLEEPER], root=ROOT, directory=tmp_path, sockets=sockets, environ=os.environ
        )


def test_stopping_what_does_not_run_is_no_error(supervisor: Supervisor) -> None:
    supervisor.stop(SLEEPER)
    assert _state(supervisor, "sleeper").state == "STOPPED"


@pytest.mark.parametrize("victim", ["launcher", "supervisor"])
def test_nothing_survives_a_kill_9_of_its_parent(tmp_path: Path, victim: str) -> None:
    (tmp_path / "logs").mkdir()
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert launcher.stdout is not None
        supervisor_pid, sleeper_pid = map(int, launcher.stdout.readline().split())
        psutil.Process(launcher.pid if victim == "launcher" else supervisor_pid).kill()
        until(lambda: gone(supervisor_pid) and gone(sleeper_pid))
    finally:
        launcher.kill()
        launcher.communicate()


def test_two_runs_never_share_a_block_of_ports() -> None:
    blocks = [ports.claim(["a", "b"]) for _ in range(20)]
    try:
        assert len({block.base for block in blocks}) == 20
        with pytest.raises(ports.PortError, match="in use"):
            ports.claim(["a", "b"], base=blocks[0].base)
    finally:
        for block in blocks:
            block.release()
    again = ports.claim(["a", "b"], base=blocks[0].base)
    assert again.ports == blocks[0].ports
    again.release()


def test_a_state_directory_has_one_launcher(tmp_path: Path) -> None:
    state = open_state(str(tmp_path / "run"))
    with pytest.raises(StateError, match="in use by another launcher"):
        open_state(str(tmp_path / "run"))
    state.close()
    open_state(str(tmp_path / "run")).close()


def test_run_is_not_judged_by_the_one_before(tmp_path: Path) -> None:
    proven = [tmp_path / "evidence.json", tmp_path / "summary.json"]
    for path in proven:
        path.write_text("{}")
    state = open_state(str(tmp_path))
    with pytest.raises(StateError):
        open_state(str(tmp_path))
    assert not any(path.exists() for path in proven)
    state.close()


def test_a_long_path_gets_a_short_one_for_sockets(tmp_path: Path) -> None:
    state = open_state(str(tmp_path / ("d" * 80)))
    assert len(str(state.sockets)) < 80
    assert state.sockets.exists()
    state.close()
    assert not state.sockets.exists()
