"""The state directory of a run, and the note in it that says how to reach the run.

``<directory>/run.json`` is what `python -m launcher check` and a continued run read.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
# Installed as a package, its folder is no place for what a run leaves.
STATES = (ROOT if (ROOT / "Makefile").exists() else Path.cwd()) / ".state"
_NOTE = "run.json"
_DIRECTORY_MAX = 70


class StateError(Exception):
    """A state directory cannot be used; the message is one line that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDescription:
    """The description of a run, for its owner alone."""

    run_id: str
    started_ms: int
    port_base: int
    pid: int
    database_url: str
    """Of the embedded PostgreSQL; empty: a real one, see TT_DATABASE_URL."""
    insiders_control_url: str
    """Empty: a real insiders-api."""
    venue_url: str
    """Empty: live feeds."""
    rest_url: str
    default_cash_micros: int
    ports: dict[str, int] = field(default_factory=dict)
    """Of each process: of the engine's gRPC with health, `<process>_metrics`; control's own is the
    edge's, `control_internal` the operators'."""
    console_url: str = ""
    """Of the pages that people look at."""
    follower_wallet: str = ""
    """One of the wallets that the run creates subscriptions for."""


@dataclass(frozen=True, slots=True)
class State:
    """A directory that this launcher alone uses while it runs."""

    directory: Path
    sockets: Path
    """Where Unix sockets are: the directory itself, or a short one when its path is too long."""
    run_id: str
    _lock: int

    @property
    def logs(self) -> Path:
        """Where each process's log is."""
        return self.directory / "logs"

    def close(self) -> None:
        """Let another launcher use it."""
        if self.sockets != self.directory:
            shutil.rmtree(self.sockets, ignore_errors=True)
        os.close(self._lock)


EVIDENCE, SUMMARY = "evidence.json", "summary.json"
"""What a run has proven, at its end."""


def open_state(desired: str) -> State:
    """Use the directory ``desired``, or a new one below `.state`.

    Raises:
        StateError: it cannot be made, or another launcher uses it.
    """
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    directory = Path(desired).resolve() if desired else STATES / run_id
    try:
        (directory / "logs").mkdir(parents=True, exist_ok=True)
        # Whoever runs as another user finds its own directory below, and nothing else.
        directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
        (directory / "logs").chmod(0o700)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"TT_LAUNCHER_STATE_DIR: {directory}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StateError(
            f"TT_LAUNCHER_STATE_DIR: {directory} is in use by another launcher"
        ) from None
    # A run that is killed must not be judged by what the one before it has proven.
    for proven in (EVIDENCE, SUMMARY):
        (directory / proven).unlink(missing_ok=True)
    earlier = read_note(directory)
    return State(directory, _sockets(directory), earlier.run_id if earlier else run_id, lock)


def _sockets(directory: Path) -> Path:
    # The system allows the path of a socket about a hundred characters.
    if len(str(directory)) <= _DIRECTORY_MAX:
        return directory
    sockets = Path(tempfile.mkdtemp(prefix="tt-sockets-"))
    sockets.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return sockets


def read_note(directory: Path) -> RunDescription | None:
    """The note of a run, if there is one. Raises StateError when it is not readable."""
    path = directory / _NOTE
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunDescription)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(f"{path}: {error}") from None


def write_note(directory: Path, note: RunDescription) -> None:
    """Write the note so that a reader sees all of it or nothing."""
    temporary = directory / f"{_NOTE}.tmp"
    temporary.touch(mode=0o600)
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(note), indent=2))
    temporary.replace(directory / _NOTE)


def latest() -> Path:
    """The state directory of the last run below `.state`. Raises StateError: there is none."""
    runs = sorted(STATES.glob(f"*/{_NOTE}"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise StateError("no run below .state; start one with `make run`")
    return runs[-1].parent


def is_running(directory: Path) -> bool:
    """Return whether a launcher holds the directory."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
