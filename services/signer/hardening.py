"""Keep what the process holds out of core dumps, swap and other processes' reach.

First of all that the process does. Undumpable, its ``/proc/<pid>/mem`` belongs to root, and a
process of the same user can neither trace nor read it.
"""

from __future__ import annotations

import ctypes
import os
import resource

_PR_SET_DUMPABLE, _PR_GET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 3, 38
# Pages are locked as they are touched, not whole stacks and arenas at once (Linux 4.4).
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_libc = ctypes.CDLL(None, use_errno=True)


class NotHardened(Exception):
    """The system refuses; the message is one line that says what."""


def make_undumpable() -> None:
    """Forbid core dumps, tracing by the same user, and new rights by exec. Raises NotHardened."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if _libc.prctl(option, value, 0, 0, 0) != 0:
            raise NotHardened(f"prctl({option}): {os.strerror(ctypes.get_errno())}")
    if _libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise NotHardened("the process is still dumpable")


def lock_memory() -> None:
    """Keep all memory out of swap, now and later. Raises NotHardened."""
    if _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        raise NotHardened(
            f"memory cannot be locked ({os.strerror(ctypes.get_errno())}): raise the limit of"
            " locked memory (ulimit -l unlimited, LimitMEMLOCK=infinity), or set"
            " TT_SIGNER_UNLOCKED_MEMORY=true"
        )
