"""A port that was given to somebody is nobody else's, whoever asks, and whenever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from launcher.ports import free_port
from launcher.state import ROOT

_OTHER = "from launcher.ports import free_port; print(*[free_port() for _ in range(90)]); input()"


def test_two_processes_never_get_the_same_port() -> None:
    # What is given and not listened on yet is what another one may be given.
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        theirs = [int(port) for port in other.stdout.readline().split()]
        ours = [free_port() for _ in range(90)]
        other.stdin.close()
    assert len({*ours, *theirs}) == 180
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert max(*ours, *theirs) < int(outgoing[0])
