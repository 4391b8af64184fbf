"""The sessions that were logged out of: in a file, so that a start brings none of them back.

A line has a session and until when its cookie would be good. Several consoles may share the file.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Ended:
    """The sessions that are over before their time.

    Args:
        path: of the file; None: this process alone remembers.
        now_s: seconds of the epoch; what would be over by then is forgotten.
    """

    def __init__(self, path: Path | None, now_s: float) -> None:
        self._path = path
        self._until: dict[str, float] = {}
        self._read_to = 0
        if path is not None:
            path.touch(mode=0o600)
            self._read()
            self._shorten(path, now_s)

    def __contains__(self, session: str) -> bool:
        self._read()
        return session in self._until

    def add(self, session: str, until_s: float, now_s: float) -> None:
        """End a session. When this returns, no start brings it back."""
        self._until = {one: until for one, until in self._until.items() if until > now_s}
        self._until[session] = until_s
        if self._path is None:
            return
        with self._path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A line that a crash has cut is a line of its own.
            file.write(b"\n" + _line(session, until_s))
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        """Read what was added since, by whom ever."""
        if self._path is None:
            return
        size = self._path.stat().st_size
        if size == self._read_to:
            return
        if size < self._read_to:
            # Another console has shortened it.
            self._read_to = 0
        with self._path.open("rb") as file:
            file.seek(self._read_to)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read_to += len(line)
            parts = line.split()
            if len(parts) == 2:
                self._until[parts[0].decode()] = float(parts[1])

    def _shorten(self, path: Path, now_s: float) -> None:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._read()
            self._until = {one: until for one, until in self._until.items() if until > now_s}
            kept = b"".join(_line(one, until) for one, until in self._until.items())
            if len(kept) < self._read_to:
                file.write(kept)
                file.truncate()
                os.fsync(file.fileno())
                self._read_to = len(kept)


def _line(session: str, until_s: float) -> bytes:
    return f"{session} {until_s:.0f}\n".encode()
