"""Control's two processes: one serves the edge, the other operators.

Nothing that comes through the edge shares an event loop, an interpreter or connections with an
operator's halt. The second is forked from the first before that has threads or connections of its
own, begins when the first one serves, and neither outlives the other.

Before it: ``__main__``. After it: `app` and `internal_app`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_GO = b"g"
_END_SECONDS = 5.0
_METRICS_PORT = "TT_CONTROL_METRICS_PORT"
_INTERNAL_METRICS_PORT = "TT_CONTROL_INTERNAL_METRICS_PORT"


class InternalProcess:
    """The process of the internal port, as the one that forked it sees it.

    Args:
        pid: of it.
        go: where it waits for leave to begin.
    """

    def __init__(self, pid: int, go: int) -> None:
        self._pid = pid
        self._go = go

    def begin(self) -> None:
        """Let it serve."""
        with suppress(BrokenPipeError):
            os.write(self._go, _GO)

    async def ended(self) -> None:
        """Return when it has ended, by itself or by somebody's hand."""
        end = asyncio.Event()
        watched = os.pidfd_open(self._pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(watched, end.set)
        try:
            await end.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)

    def stop(self) -> None:
        """End it: it is asked to, and has some seconds."""
        os.close(self._go)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        watched = os.pidfd_open(self._pid)
        if not select.select([watched], [], [], _END_SECONDS)[0]:
            os.kill(self._pid, signal.SIGKILL)
        os.close(watched)
        os.waitpid(self._pid, 0)


def split() -> InternalProcess | None:
    """Fork; None: this is the process of the internal port, and it may begin.

    Called before there are threads, connections or an event loop.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(reading)
        return InternalProcess(pid, writing)
    os.close(writing)
    _tie_to(parent)
    # The first one has refused to start, and said why, when nothing comes.
    if os.read(reading, 1) != _GO:
        os._exit(0)
    os.close(reading)
    os.environ[_METRICS_PORT] = os.environ.get(_INTERNAL_METRICS_PORT) or "0"
    return None


def _tie_to(parent: int) -> None:
    """End with the parent, however that ends: the port has to be free for the next one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(0)
