"""Log lines go out behind who writes them: who collects them may stand still, the copies must not.

A pipe that nobody reads, or a disk that hangs, would stop a process in the midst of what it logs.
So a thread writes them; lines that find too many before them are dropped, and one says how many.
"""

from __future__ import annotations

import contextvars
import threading
from queue import SimpleQueue
from typing import TextIO

import structlog

MAX_WAITING = 10_000
"""Lines: some 5 MB, and at ten a second a quarter of an hour of a collector that stands still."""
_LAST_WORDS_SECONDS = 1.0
_log = structlog.get_logger("logs")


class BackgroundWriter:
    """The output of structlog; never waits: a thread writes them.

    Args:
        out: where the lines go.
        most: how many may wait.
    """

    def __init__(self, out: TextIO, *, most: int = MAX_WAITING) -> None:
        self._out = out
        self._most = most
        self._lines: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._dropped = 0
        self._refused = 0
        # What every line says, the one about lost lines says as well.
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._write,), name="logs", daemon=True).start()

    def msg(self, line: str) -> None:
        """Hand a line on, or drop it."""
        if self._lines.qsize() < self._most:
            self._lines.put(line)
        else:
            self._dropped += 1

    debug = info = warning = error = critical = msg

    def drain(self) -> None:
        """Wait until what was handed on is out, a second at most: a process's last words."""
        out = threading.Event()
        self._lines.put(out)
        out.wait(_LAST_WORDS_SECONDS)

    def _write(self) -> None:
        reported = 0
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            try:
                self._out.write(f"{line}\n")
                self._out.flush()
            except OSError:
                self._refused += 1
                continue
            lost = self._dropped + self._refused - reported
            if lost and self._lines.qsize() < self._most // 2:
                reported += lost
                _log.error("log lines were lost: nobody took them", alert=True, lines=lost)
