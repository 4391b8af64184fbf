"""The supervisor as a child of the launcher, and the calls it takes over its Unix socket.

supervisord dies with the launcher (`tether`), and its programs die with it; nothing stays behind.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.core.programs import Program
from launcher.core.supervisor_config import Places, render
from launcher.secret_files import keep
from launcher.tether import PARENT

_SPAWNED = re.compile(r"spawned: '([\w-]+)' with pid")
_EXITED = re.compile(r"exited: ([\w-]+) \(exit status (\d+);")
_START_SECONDS = 15.0


class SupervisionError(Exception):
    """The supervisor cannot start or has gone; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """A program as the supervisor sees it."""

    name: str
    state: str
    """RUNNING, STARTING, BACKOFF, EXITED, FATAL, STOPPING or STOPPED."""
    pid: int
    exit_status: int
    """Of its last end by itself; 0: it did not end, or was killed."""
    starts: int
    """How often it was started in this run."""

    @property
    def restarts(self) -> int:
        """Return how often it was started again."""
        return max(self.starts - 1, 0)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        self.sock = connection


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket; the standard library knows only TCP."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """A connection to the socket, whatever the host."""
        connection = _Connection(self._path)
        self._connection = host, connection
        return connection


class Supervisor:
    """A running supervisord."""

    def __init__(self, child: subprocess.Popen[bytes], logs: Path, sock: Path) -> None:
        self._child = child
        self._logs = logs
        self._socket = sock

    @property
    def pid(self) -> int:
        """Process id of supervisord."""
        return self._child.pid

    def _call(self, method: str, *arguments: Any) -> Any:
        # A connection for each call: after a stop and go there is nothing stale to fall over.
        server = xmlrpc.client.ServerProxy(
            "http://localhost", transport=_Transport(str(self._socket))
        )
        try:
            return getattr(server.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException) as error:
            raise SupervisionError(f"supervisor: does not answer: {error}") from None
        finally:
            server("close")()

    def start(self, program: Program) -> None:
        """Start a program; whether it comes up is seen by asking for its state."""
        try:
            self._call("startProcess", f"{program.group}:{program.name}", False)
        except xmlrpc.client.Fault as fault:
            raise SupervisionError(f"{program.name}: {fault.faultString}") from None

    def stop(self, program: Program) -> None:
        """Stop a program and wait until it has gone; one that is not running is left alone."""
        try:
            self._call("stopProcess", f"{program.group}:{program.name}", True)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString:
                raise SupervisionError(f"{program.name}: {fault.faultString}") from None

    def states(self) -> list[ProcessState]:
        """All programs. Raises SupervisionError when supervisord has gone."""
        log = (self._logs / "supervisord.log").read_text(errors="replace")
        starts = Counter(_SPAWNED.findall(log))
        # The call itself does not tell how a program ended that ended soon.
        ends = {name: int(status) for name, status in _EXITED.findall(log)}
        return [
            ProcessState(
                name=row["name"],
                state=row["statename"],
                pid=row["pid"],
                exit_status=ends.get(row["name"], 0),
                starts=starts[row["name"]],
            )
            for row in self._call("getAllProcessInfo")
        ]

    def last_line(self, name: str) -> str:
        """The last thing a program said, for an error of one line."""
        try:
            text = (self._logs / f"{name}.log").read_bytes()[-4000:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""

    def close(self) -> None:
        """Stop everything in order and wait; what does not stop in time is killed."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


def start(
    programs: Sequence[Program],
    *,
    root: Path,
    directory: Path,
    sockets: Path,
    environ: Mapping[str, str],
) -> Supervisor:
    """Start supervisord with programs that wait to be started.

    Args:
        programs: each with all of its environment.
        root: the checkout.
        directory: of the state.
        sockets: where supervisord's is.
        environ: of supervisord itself, which needs no settings.

    Raises:
        SupervisionError: it did not come up; the message has its last line.
    """
    logs = directory / "logs"
    (logs / "supervisord.log").unlink(missing_ok=True)
    sock = sockets / "supervisor.sock"
    sock.unlink(missing_ok=True)
    places = Places(
        root=str(root),
        directory=str(directory),
        logs=str(logs),
        socket=str(sock),
        python=sys.executable,
        as_root=os.geteuid() == 0,
    )
    config = directory / "supervisord.conf"
    keep(config, render(programs, places))
    (directory / "environment").mkdir(mode=0o700, exist_ok=True)
    for program in programs:
        text = json.dumps(dict(program.environment))
        keep(directory / "environment" / f"{program.name}.json", text)
    # No file: supervisord ends when it cannot say that a log cannot be written.
    child = subprocess.Popen(
        [
            sys.executable, "-m", "launcher.tether", "--", sys.executable, "-W", "ignore",
            "-m", "supervisor.supervisord", "-n", "-c", str(config),
        ],
        cwd=root, env={**environ, PARENT: str(os.getpid())}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        # Its logs are nobody else's to read.
        umask=0o077,
    )  # fmt: skip
    message: deque[str] = deque(maxlen=1)
    listening = threading.Thread(target=_listen, args=(child, message), daemon=True)
    listening.start()
    supervisor = Supervisor(child, logs, sock)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            supervisor.states()
            return supervisor
        except (SupervisionError, FileNotFoundError):
            if child.poll() is not None or time.monotonic() > deadline:
                supervisor.close()
                listening.join(_START_SECONDS)
                last = message[0] if message else "no output"
                raise SupervisionError(f"supervisor: did not start: {last}") from None
            time.sleep(0.05)


def _listen(child: subprocess.Popen[bytes], message: deque[str]) -> None:
    """Take whatever supervisord says, as long as it lives, and keep the last line of it."""
    assert child.stdout is not None  # noqa: S101 - it was started with a pipe
    with child.stdout as lines:
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text and not text.startswith("For help, use"):
                message.append(text)
