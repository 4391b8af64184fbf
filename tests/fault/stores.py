"""A PostgreSQL and a Valkey that a test may stop, freeze, kill and start again on their ports."""

from __future__ import annotations

import contextlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from launcher import embedded

_START_SECONDS = 30.0
_BECOME = (
    "import os, sys; os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]));"
    " os.execv(sys.argv[3], sys.argv[3:])"
)
"""Becomes a user, then a program."""


class Store:
    """One server process that keeps its directory and port over restarts.

    Args:
        command: its command line.
        user: whom it runs as; None: the same user.
        answers: whether it can be asked.
        log: where its output goes.
    """

    def __init__(
        self, command: list[str], user: str | None, answers: Callable[[], bool], log: Path
    ) -> None:
        self._command = command
        self._user = user
        self._answers = answers
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.away = False
        """It was stopped or frozen and has not been brought back."""

    def start(self) -> None:
        """Start it and wait until it answers.

        Its port may be some passing connection's for a moment; then it is tried again.
        """
        deadline = time.monotonic() + _START_SECONDS
        process = self._spawn()
        while not self._answers():
            assert time.monotonic() < deadline, f"not started: {self._log.read_text()[-300:]}"
            time.sleep(0.05)
            if process.poll() is not None:
                process = self._spawn()
        self._process = process
        self.away = False

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self._command
        if self._user is not None:
            # Popen's own way forks, which gRPC's threads in this process do not survive.
            entry = pwd.getpwnam(self._user)
            ids = [str(entry.pw_gid), str(entry.pw_uid)]
            command = [sys.executable, "-c", _BECOME, *ids, *command]
        with self._log.open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd="/")

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it (SIGINT is PostgreSQL's fast shutdown; SIGKILL takes its children as well)."""
        if self._process is None:
            return
        self.away = True
        family: list[psutil.Process] = []
        if number == signal.SIGKILL:
            # Frozen first: a child that is born meanwhile would outlive it and keep its memory.
            self._process.send_signal(signal.SIGSTOP)
            family = self._family()
        for child in family[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGKILL)
        self._process.send_signal(number)
        self._process.wait(timeout=20)
        psutil.wait_procs(family, timeout=10)
        self._process = None

    def freeze(self) -> None:
        """Stop it and its children where they stand."""
        if self._process is None:
            return
        self.away = True
        # Itself first: frozen, it has no more children while they are being counted.
        self._process.send_signal(signal.SIGSTOP)
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)
        self.away = False

    def bring_back(self) -> None:
        """Have it there again, whether it was stopped or frozen."""
        if self._process is None:
            self.start()
        else:
            self.thaw()

    def close(self) -> None:
        """End it for good, frozen or not."""
        if self._process is not None:
            self._signal(signal.SIGCONT)
            self.stop()

    def _signal(self, number: int) -> None:
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]


@contextmanager
def own_postgres() -> Iterator[tuple[Store, str]]:
    """A PostgreSQL of the test's own, and the URL of its default database."""
    directory = Path(tempfile.mkdtemp(prefix="tt-fault-pg-"))
    directory.chmod(0o755)
    port = embedded.free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    store = Store(
        embedded.postgres_command(directory / "data", port),
        embedded.postgres_user(),
        lambda: embedded.postgres_answers(url),
        directory / "log",
    )
    try:
        embedded.init_postgres(directory / "data")
        store.start()
        yield store, url
    finally:
        store.close()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def own_valkey() -> Iterator[tuple[Store, str]]:
    """A Valkey of the test's own, and its URL."""
    directory = Path(tempfile.mkdtemp(prefix="tt-fault-valkey-"))
    port = embedded.free_port()
    url = f"redis://127.0.0.1:{port}/0"
    store = Store(
        embedded.valkey_command(directory, port),
        None,
        lambda: embedded.redis_answers(url),
        directory / "log",
    )
    try:
        store.start()
        yield store, url
    finally:
        store.close()
        shutil.rmtree(directory, ignore_errors=True)
