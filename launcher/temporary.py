"""Servers and databases that live as long as a block: for tests and benches.

Before it: `embedded`, which knows the servers' programs and command lines.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from launcher import embedded
from launcher.ports import free_port
from launcher.users import group_of

_START_SECONDS = 30.0
_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system, and names in it are made by mkdtemp
_MEMORY_BYTES = 4 << 30
"""A server in memory has to have this much free: others live there, too."""


@contextmanager
def _child(
    command: list[str],
    user: str | None,
    ready: Callable[[], bool],
    name: str,
    log: Path,
    *,
    ends_by: signal.Signals = signal.SIGINT,
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, user=user, group=group_of(user), extra_groups=[] if user else None,
            stdout=output, stderr=subprocess.STDOUT, cwd="/",
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise embedded.EmbeddedServerError(
                    f"{name} did not start: {log.read_text()[-300:]}"
                )
            time.sleep(0.05)
        yield process
    finally:
        # SIGINT is PostgreSQL's fast shutdown, and ends Valkey as well.
        process.send_signal(ends_by)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def temporary_postgres(*, durable: bool = True) -> Iterator[str]:
    """A PostgreSQL of its own for the length of the block; yields its URL.

    Args:
        durable: False: it never waits for the disk, lies in memory where there is room, and ends
            without writing down what is removed next. A killed server loses nothing by that, a
            machine without power would; what goes with the block has no use for it.
    """
    place = None if durable else in_memory()
    directory = Path(tempfile.mkdtemp(prefix="tt-pg-", dir=place))
    try:
        directory.chmod(0o755)
        password = secrets.token_hex(32)
        embedded.init_postgres(directory / "data", password)
        port = free_port()
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        command = embedded.postgres_command(directory / "data", port)
        if not durable:
            command += ["-c", "fsync=off"]
        with _child(
            command,
            embedded.postgres_user(),
            lambda: embedded.postgres_answers(url),
            "PostgreSQL",
            directory / "log",
            # SIGQUIT is PostgreSQL's immediate shutdown: no last checkpoint.
            ends_by=signal.SIGINT if durable else signal.SIGQUIT,
        ):
            embedded.make_roles(url)
            yield url
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def serving(data: Path, password: str, log: Path) -> Iterator[str]:
    """Run a PostgreSQL on a cluster that is there, for the length of the block; yields its URL.

    Args:
        data: the cluster.
        password: of its superuser, as `embedded.init_postgres` has set it.
        log: for what the server says.

    Raises:
        EmbeddedServerError: it does not start.
    """
    port = free_port()
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    with _child(
        embedded.postgres_command(data, port),
        embedded.postgres_user(),
        lambda: embedded.postgres_answers(url),
        "PostgreSQL",
        log,
    ):
        yield url


def in_memory(place: Path = _MEMORY) -> Path | None:
    """The file system in memory if it is there and has room; None: it is not, or has not."""
    try:
        room = shutil.disk_usage(place).free
    except OSError:
        return None
    return place if room >= _MEMORY_BYTES and os.access(place, os.W_OK | os.X_OK) else None


@contextmanager
def temporary_valkey() -> Iterator[str]:
    """A Valkey of its own for the length of the block; yields its URL."""
    directory = Path(tempfile.mkdtemp(prefix="tt-valkey-"))
    try:
        port, password = free_port(), secrets.token_hex(32)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        with _child(
            embedded.valkey_command(directory, port, password),
            None,
            lambda: embedded.redis_answers(url),
            "Valkey",
            directory / "log",
        ):
            yield url
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def create_database(server_url: str, *, template: str = "template1") -> str:
    """A fresh database on a server, a copy of ``template``; returns its URL."""
    name = f"tt_{secrets.token_hex(6)}"
    # Its files are copied: a quarter of the time of writing each page to the log.
    command = f"create database {name} template {template} strategy file_copy"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(command.encode())
    return server_url.rsplit("/", 1)[0] + "/" + name


@contextmanager
def temporary_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """A fresh database for the length of the block; yields its URL.

    Whoever is still connected at its end is thrown out.
    """
    url = create_database(server_url, template=template)
    try:
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"drop database {url.rsplit('/', 1)[1]} with (force)".encode())
