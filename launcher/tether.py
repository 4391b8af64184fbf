"""Run a command that ends when its parent does, even when the parent is killed with -9.

Before it: the launcher, which starts supervisord through it, and supervisord, which starts
everything else through it. The kernel sends the signal (`PR_SET_PDEATHSIG`, prctl(2)); nothing
has to watch. The command has a session of its own: where the scheduler makes a group of each
(`kernel.sched_autogroup_enabled`), groups share the cores alike, and who is nice stands back only
as a group. PostgreSQL's backends are groups of their own. It also gives up root where a command
refuses it, after it was started as root: the interpreter may lie where the other user cannot enter.
The environment is what a file says, for a command is to know no more than it needs.

Usage: ``python -m launcher.tether --signal TERM [--user nobody] [--nice 10] [--environment FILE]
-- command ...``
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pwd
import signal
import sys
import time
from pathlib import Path

PARENT = "LAUNCHER_PARENT_PID"
_PR_SET_PDEATHSIG = 1
_GROUP_TRIES = 50
_GROUP_SECONDS = 0.1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the command."""
    parser = argparse.ArgumentParser(prog="launcher.tether")
    parser.add_argument("--signal", default="TERM", choices=("TERM", "INT", "KILL"))
    parser.add_argument("--user")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--environment", type=Path)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    _begin_session(given.nice)
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.environ.get(PARENT)
    if given.environment:
        # Only supervisord's files are closed by its umask, a program's are in a directory that is.
        os.umask(0o022)
        # A file that its reader may not read any more afterwards, nor anybody else.
        own = json.loads(given.environment.read_text(encoding="utf-8"))
        os.environ.clear()
        os.environ.update(own)
    if given.user:
        entry = pwd.getpwnam(given.user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    # After the change of user, which clears it.
    if libc.prctl(_PR_SET_PDEATHSIG, signal.Signals[f"SIG{given.signal}"], 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent is not None and int(parent) != os.getppid():
        # It died before the tie was made, and will never send anything.
        raise SystemExit(0)
    os.environ[PARENT] = str(os.getpid())
    os.execvp(given.command[0], given.command)  # noqa: S606 - the whole point, and no shell


def _begin_session(nice: int) -> None:
    os.nice(nice)
    if os.getsid(0) != os.getpid():
        # Whoever leads a process group, as supervisord has it, cannot begin a session.
        os.setpgid(0, os.getpgid(os.getppid()))
        os.setsid()
    for _ in range(_GROUP_TRIES if nice else 0):
        try:
            Path("/proc/self/autogroup").write_text(str(nice))
        except BlockingIOError:
            # One change in a tenth of a second, whoever makes it.
            time.sleep(_GROUP_SECONDS)
        except OSError:
            return  # There are no such groups here.
        else:
            return


if __name__ == "__main__":
    main(sys.argv[1:])
