"""Processes of the project that start in milliseconds, because what they import is imported.

The tests start about a thousand, each for half a second of a core, nearly all of it imports. Here
one process per test session imports them once, runs nothing, and is forked for each: a start that
takes its own environment, files and directory, and is a child of the test like any other. Only
``/proc/<pid>/cmdline`` and ``environ`` are of the process that it was forked from. Who tests how
a process starts uses `subprocess.Popen`.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from launcher.core.programs import ALL
from paper.venue import tape
from tradingtools.runtime.loading import without_gc

_ROOT: Final = Path(__file__).parents[2]
_PROCESSES: Final = (
    *(f"services.{name}" for name in ALL),
    "paper.insiders",
    "paper.venue",
)
_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST: Final = 1 << 18
_AS_IT_COMES: Final = (None, None, True, None, None, None, -1, False, -1)
"""Of `subprocess.Popen`: nothing to run before, and the same signals, user, umask and group."""
_one_at_a_time = threading.Lock()


class Popen(subprocess.Popen[bytes]):
    """``Popen([sys.executable, "-m", module, ...])``, forked; takes `args`, files, `env`, `cwd`."""

    def _execute_child(
        self, args: Sequence[str], executable: None, preexec_fn: None, close_fds: bool,
        pass_fds: Sequence[int], cwd: Path | str | None, env: Mapping[str, str] | None,
        *others: Any,
    ) -> None:  # fmt: skip
        # The standard library calls it when pipes are made and a child is due (3.11).
        pipes, rest = others[3:9], others[9:]
        assert list(args[:2]) == [sys.executable, "-m"], args
        assert (executable, preexec_fn, *pass_fds, *rest) == _AS_IT_COMES, "nothing else is made"
        order = [args[2:], str(cwd or Path.cwd()), dict(os.environ if env is None else env)]
        # Of each pipe the child has the second end, of its input the first.
        ends = (pipes[0], pipes[3], pipes[5])
        files = [number if end == -1 else end for number, end in enumerate(ends)]
        try:
            self.pid = _forked(json.dumps(order).encode(), files)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def run(
    module: str, environment: Mapping[str, str], seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Fork a process that ends by itself, as `subprocess.run` does; killed when it does not."""
    command = [sys.executable, "-m", module]
    ends = subprocess.PIPE
    with Popen(command, cwd=_ROOT, env=environment, stdout=ends, stderr=ends) as running:
        try:
            output, errors = running.communicate(timeout=seconds)
        except BaseException:
            running.kill()
            raise
    return subprocess.CompletedProcess(
        command, running.returncode, output.decode(), errors.decode()
    )


def _forked(order: bytes, files: list[int]) -> int:
    with _one_at_a_time:
        connection = _server()
        # Whoever is orphaned meanwhile becomes a child of this process: to be waited for here.
        _adopt(True)
        try:
            socket.send_fds(connection, [order], files)
            return int(connection.recv(_LONGEST))
        finally:
            _adopt(False)


def _adopt(yes: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


@functools.cache
def _server() -> socket.socket:
    """The connection to the process that is forked, which ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=_ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        )  # fmt: skip
    atexit.register(_end, ours, process)
    return ours


def _end(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    process.wait()


def main(connection: socket.socket) -> None:
    """Import everything, then fork for each order until the other side ends."""
    with without_gc():
        for process in _PROCESSES:
            import_module(f"{process}.app")
        import_module("tradingtools.runtime.process")
        # What the venue plays when it is not told otherwise.
        tape.load(None)
    # It draws for people's terminals, with what the others leave out.
    import_module("launcher.run")
    gc.freeze()
    while True:
        order, files, _, _ = socket.recv_fds(connection, _LONGEST, 3)
        if not order:
            return
        # What another thread holds stays held in a child, for ever.
        assert len(os.listdir("/proc/self/task")) == 1, threading.enumerate()
        child = _orphan()
        if not child:
            connection.close()
            _become(files, *json.loads(order))
            return
        for file in files:
            os.close(file)
        connection.send(str(child).encode())


def _orphan() -> int:
    """Fork a process whose parent has ended when this returns; its id, 0 in itself."""
    reading, writing = os.pipe()
    between = os.fork()
    if not between:
        between = os.getpid()
        os.close(reading)
        child = os.fork()
        if child:
            os.write(writing, str(child).encode())
            os._exit(0)
        os.close(writing)
        while os.getppid() == between:
            os.sched_yield()
        return 0
    os.close(writing)
    os.waitpid(between, 0)
    reported = os.read(reading, 32)
    os.close(reading)
    return int(reported)


def _become(files: list[int], command: list[str], cwd: str, env: dict[str, str]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = command
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        _end_now(end.code or 0)
    _end_now(0)


def _end_now(status: int) -> NoReturn:
    """End as Python does, without freeing first, one by one, all that was prepared."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
