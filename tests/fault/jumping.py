"""A service whose system clock is off: ``python -m tests.fault.jumping SERVICE FILE``.

The file holds by how much, nanoseconds in eight bytes, and may be written to while the service
runs. Only the wall clock jumps, as clocks do; production code knows nothing of it.
"""

from __future__ import annotations

import mmap
import os
import runpy
import struct
import sys
import time
from pathlib import Path

_FORM = struct.Struct("=q")


def jump(file: Path, seconds: float) -> None:
    """Set the clock off by so much, from now on; the file is made when it is not there."""
    number = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        # In place: whoever has mapped it must never see it shorter.
        os.pwrite(number, _FORM.pack(round(seconds * 1e9)), 0)
    finally:
        os.close(number)


def main(service: str, file: Path) -> None:
    """Run the service until it ends."""
    with file.open("rb") as opened:
        offset = mmap.mmap(opened.fileno(), _FORM.size, prot=mmap.PROT_READ)
    right_ns = time.time_ns

    def time_ns() -> int:
        off: int = _FORM.unpack_from(offset)[0]
        return right_ns() + off

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
    # The service must see the command line that it has otherwise.
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
