"""A PostgreSQL and a Valkey that a test may stop, freeze, kill and start again on their ports."""

from __future__ import annotations

import atexit
import contextlib
import pwd
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import psutil

from launcher import embedded
from launcher.ports import free_port
from tradingtools.storage.postgres.migrate import migrate

_PASSWORD = secrets.token_hex(32)
PRIMARY = "primary"
"""The name by which a Sentinel knows what it watches."""
_START_SECONDS = 30.0
_BECOME = (
    "import os, sys; os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]));"
    " os.execv(sys.argv[3], sys.argv[3:])"
)
"""Becomes a user, then a program."""
_LIMIT = """
import os, resource, sys
size, user, group, *pids = map(int, sys.argv[1:])
if group >= 0:
    os.setgroups([]); os.setgid(group); os.setuid(user)
for pid in pids:
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    except ProcessLookupError:
        pass
"""
"""Limits the files of processes, as their own user: root alone may not everywhere."""


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
        self._full = False
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

    def fill_disk(self) -> None:
        """From now on no file of it grows or changes: each write fails, as on a full disk.

        The limit on file sizes does it, for it needs no rights and is inherited by every child.
        """
        self.away = self._full = True
        self._limit_files(0)

    def free_disk(self) -> None:
        """Writes succeed again; it is started if it has ended over them."""
        self._full = False
        if self._process is None or self._process.poll() is not None:
            self._process = None
            self.start()
            return
        self._limit_files(resource.RLIM_INFINITY)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            # It may just be ending over what it could not write before.
            if self._process.poll() is not None:
                self._process = None
                self.start()
                return
            assert time.monotonic() < deadline, "it did not come back"
            time.sleep(0.05)
        self.away = False

    def _limit_files(self, size: int) -> None:
        entry = pwd.getpwnam(self._user) if self._user is not None else None
        ids = [entry.pw_uid, entry.pw_gid] if entry else [-1, -1]
        # Twice: a child that was born during the first round has its parent's old limit.
        for _ in range(2):
            pids = [process.pid for process in self._family()]
            command = [sys.executable, "-c", _LIMIT, *map(str, (size, *ids, *pids))]
            subprocess.run(command, check=True, timeout=_START_SECONDS)

    def bring_back(self) -> None:
        """Have it there again, whether it was stopped, frozen or without room."""
        if self._process is None:
            self.start()
        else:
            self.thaw()
        if self._full:
            self.free_disk()

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
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@contextmanager
def _own(
    name: str,
    user: str | None,
    url_of: Callable[[int], str],
    answers: Callable[[str], bool],
    command: Callable[[Path, int], list[str]],
) -> Iterator[tuple[Store, str]]:
    """A server in a directory and on a port of its own, and its URL; gone when the block ends.

    Args:
        name: of the directory.
        user: whom it runs as; None: the same user.
        url_of: its URL, from its port.
        answers: whether the server behind a URL can be asked.
        command: makes the directory ready; returns the command line.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"tt-fault-{name}-"))
    directory.chmod(0o755)
    port = free_port()
    url = url_of(port)
    store: Store | None = None
    try:
        store = Store(command(directory, port), user, lambda: answers(url), directory / "log")
        store.start()
        yield store, url
    finally:
        if store is not None:
            store.close()
        shutil.rmtree(directory, ignore_errors=True)


def own_postgres() -> AbstractContextManager[tuple[Store, str]]:
    """A PostgreSQL of the test's own, and the URL of a migrated, empty database in it."""

    def command(directory: Path, port: int) -> list[str]:
        # With its owner and its rights, which PostgreSQL insists on.
        subprocess.run(["cp", "-a", str(_migrated()), str(directory / "data")], check=True)
        return embedded.postgres_command(directory / "data", port)

    return _own("pg", embedded.postgres_user(), _postgres_url, embedded.postgres_answers, command)


@cache
def _migrated() -> Path:
    """The files of a PostgreSQL that was migrated and ended: made once, copied for each rig."""
    directory = Path(tempfile.mkdtemp(prefix="tt-fault-migrated-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    data, port = directory / "data", free_port()
    embedded.init_postgres(data, _PASSWORD)
    url = _postgres_url(port)
    store = Store(
        embedded.postgres_command(data, port),
        embedded.postgres_user(),
        lambda: embedded.postgres_answers(url),
        directory / "log",
    )
    store.start()
    try:
        embedded.make_roles(url)
        migrate(url)
    finally:
        store.close()
    return data


def _postgres_url(port: int) -> str:
    return f"postgresql://postgres:{_PASSWORD}@127.0.0.1:{port}/postgres"


def own_valkey() -> AbstractContextManager[tuple[Store, str]]:
    """A Valkey of the test's own that asks for a password, and its URL."""

    def command(directory: Path, port: int) -> list[str]:
        return embedded.valkey_command(directory, port, _PASSWORD)

    return _own("valkey", None, _redis_url, embedded.redis_answers, command)


def own_sentinel(primary_port: int) -> AbstractContextManager[tuple[Store, str]]:
    """A Sentinel that watches one primary, and its URL; it promotes a replica after half a second.

    It alone decides (a quorum of one): what is tried is what a failover does, not who votes for it.
    """

    def command(directory: Path, port: int) -> list[str]:
        (directory / "sentinel.conf").write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\nrequirepass {_PASSWORD}\n"
            f"sentinel monitor {PRIMARY} 127.0.0.1 {primary_port} 1\n"
            f"sentinel auth-pass {PRIMARY} {_PASSWORD}\n"
            f"sentinel down-after-milliseconds {PRIMARY} 500\n"
            f"sentinel failover-timeout {PRIMARY} 5000\n"
        )
        program = embedded.valkey_command(directory, port)[0]
        return [program, str(directory / "sentinel.conf"), "--sentinel"]

    return _own("sentinel", None, _redis_url, embedded.redis_answers, command)


def _redis_url(port: int) -> str:
    return f"redis://:{_PASSWORD}@127.0.0.1:{port}/0"
