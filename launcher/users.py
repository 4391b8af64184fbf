"""Whom a run's programs run as when root has started it: nobody who may do more than they need.

Before it: the paths and settings of a run. After it: `prepare`, which hands directories over, and
`tether`, which changes the user.
"""

from __future__ import annotations

import compileall
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

OWN = "tradingtools"
_ANYBODY = "nobody"
SHARED = Path("/var/lib/tradingtools")
"""Where root puts what the unprivileged user cannot reach in a checkout of root's own."""
_IMPORTS = "import services.control.app, services.ingest.app, paper.insiders, launcher.tether"


def unprivileged() -> str | None:
    """A user of our own if there is one, else nobody; None: this process is not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(OWN).pw_name
    except KeyError:
        return _ANYBODY


def group_of(user: str | None) -> int | None:
    """The group id of a user; None: of the same user."""
    return pwd.getpwnam(user).pw_gid if user else None


def closed_parents(path: Path, user: str) -> list[Path]:
    """The directories on the way to ``path`` that the user cannot enter."""
    return [
        parent
        for parent in (path, *path.parents)
        if parent.exists() and not parent.stat().st_mode & 0o001 and parent.owner() != user
    ]


def closed(user: str, root: Path, files: Iterable[str]) -> str:
    """Return in words what keeps the user from running our code; empty: nothing.

    Args:
        user: who would run it.
        root: the checkout.
        files: that its settings name.
    """
    for file in files:
        if not _does(user, root, "/bin/sh", "-c", 'test -r "$0"', file):
            return f"'{user}' cannot read {file}"
    if not _does(user, root, sys.executable, "-c", _IMPORTS):
        return f"'{user}' cannot run {sys.executable} in {root}"
    return ""


def compile_for(root: Path) -> None:
    """Compile our code for somebody who may not write what he has compiled."""
    for package in ("launcher", "paper", "services", "tradingtools", "tradingtools_client"):
        compileall.compile_dir(root / package, quiet=2)


def _does(user: str, root: Path, *command: str) -> bool:
    try:
        done = subprocess.run(
            command, user=user, group=group_of(user), extra_groups=[], cwd=root,
            env={"PATH": os.environ.get("PATH", "")}, stdin=subprocess.DEVNULL,
            capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


def reachable(program: Path, user: str | None) -> Path:
    """Return where the user can run a program: its path, or a copy that only root can write."""
    if user is None or not closed_parents(program.parent, user):
        return program
    # Another version has another size or time.
    about = program.stat()
    copy = SHARED / f"{program.name}-{about.st_size:x}-{about.st_mtime_ns:x}"
    if not copy.exists():
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(dir=SHARED)
        os.close(handle)
        shutil.copyfile(program, fresh)
        Path(fresh).chmod(0o755)
        Path(fresh).rename(copy)
    return copy


def hand_over(directory: Path, user: str | None) -> None:
    """Have a directory and all in it belong to the user, and closed to others."""
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    if user is None:
        return
    entry = pwd.getpwnam(user)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
