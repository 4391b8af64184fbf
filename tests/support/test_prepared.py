"""A process that was forked finds itself to be what one is that was started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from launcher.state import ROOT
from tests.support.prepared import Popen

_COMMAND = [sys.executable, "-m", "tests.support.telling"]
_BOTH = pytest.mark.parametrize("begin", [subprocess.Popen, Popen])
_SECONDS = 60.0


def _reported(
    begin: type[subprocess.Popen[bytes]], directory: Path, status: str
) -> tuple[Any, ...]:
    """Everything that one tells: its output, its errors, its exit status, and what is open."""
    (directory / "input").write_text("given")
    with (directory / "input").open() as given, (directory / "errors").open("wb") as errors:
        child = begin(
            [*_COMMAND, status, "an argument"],
            stdin=given, stdout=subprocess.PIPE, stderr=errors, cwd=directory,
            env={"PYTHONPATH": str(ROOT), "OURS": "a=b\nc", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        output, _ = child.communicate(timeout=_SECONDS)
    found = json.loads(output)
    assert found["files"][1].startswith("pipe:")
    del found["files"][1]
    return found, (directory / "errors").read_text(), child.returncode


@pytest.mark.parametrize("status", ["0", "7", "told"])
def test_it_finds_the_same(tmp_path: Path, status: str) -> None:
    started, errors, code = _reported(subprocess.Popen, tmp_path, status)
    forked, errors_of_forked, code_of_forked = _reported(Popen, tmp_path, status)
    # What a forked one imports does not depend on where it is.
    assert started.pop("path") == [str(tmp_path), *forked.pop("path")]
    assert forked == started
    assert forked["parent"] == os.getpid()
    assert forked["input"] == "given"
    assert code_of_forked == code == (1 if status == "told" else int(status))
    assert errors.splitlines()[1:] == errors_of_forked.splitlines()[1:]
    # Chance is its own.
    assert errors.splitlines()[0] != errors_of_forked.splitlines()[0]


def test_two_do_not_share_their_chance(tmp_path: Path) -> None:
    assert _reported(Popen, tmp_path, "0")[1] != _reported(Popen, tmp_path, "0")[1]


@_BOTH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_by_a_signal_and_stays_until_it_is_waited_for(
    begin: type[subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    with begin(
        [*_COMMAND, "wait"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.poll() is None
        os.kill(child.pid, number)
        # It is this process that learns of the end.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        assert child.wait(_SECONDS) == -number
        assert not psutil.pid_exists(child.pid)


def test_who_is_orphaned_later_is_not_adopted() -> None:
    with Popen(
        [*_COMMAND, "0"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as child:
        assert child.wait(_SECONDS) == 0
    # Ends as soon as it has told of its own child.
    program = "import os, time; os.fork() or (print(os.getpid(), flush=True), time.sleep(600))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.wait(_SECONDS)
        try:
            assert orphan.ppid() != os.getpid()
        finally:
            orphan.kill()


def test_what_is_not_made_is_refused() -> None:
    with pytest.raises(AssertionError, match="nothing else"):
        Popen(_COMMAND, start_new_session=True)
