"""Tells what it finds itself to be, and ends: ``python -m tests.support.telling STATUS``.

For `test_prepared`. With ``wait`` in the status's place it does not end.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":
    found = {
        "arguments": sys.argv,
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "files": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "group": os.getpgid(0),
        "input": sys.stdin.read(),
        "limits": Path("/proc/self/limits").read_text(),
        "main": getattr(sys.modules["__main__"].__spec__, "origin", None),
        "mask": [str(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "nice": os.nice(0),
        "open": len(os.listdir("/proc/self/fd")),
        "parent": os.getppid(),
        "path": sys.path,
        "session": os.getsid(0),
        "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "threads": threading.active_count(),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stderr.write(f"{random.random()}\n")  # noqa: S311 - nobody is to be surprised by it
    if sys.argv[1] == "wait":
        sys.stdout.flush()
        time.sleep(600)
    atexit.register(sys.stderr.write, "told at the end\n")
    threading.Timer(0.1, sys.stderr.write, ("and by a thread\n",)).start()
    sys.exit(sys.argv[1] if sys.argv[1].isalpha() else int(sys.argv[1]))
