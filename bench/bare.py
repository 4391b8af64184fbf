"""Measure the disk's share of a commit: `python -m bench.bare URL`, beside a measurement that
commits.

A process of its own commits one short row now and then until its input ends, and says then when
each commit began and how long it took. What stops these stops every other commit as well: who reads
a tail can tell the disk's share of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import psycopg

from bench.core.stalls import Taken
from launcher.state import ROOT

_PAUSE_SECONDS = 0.037
"""Not in step with what is measured beside it."""
_ROW = "x" * 200
_END_SECONDS = 30.0


@asynccontextmanager
async def beside(url: str, notify: Callable[[Sequence[Taken]], None]) -> AsyncIterator[None]:
    """Commit on a database of the caller's own while the block lasts.

    Args:
        url: of the database; the table of these rows stays there.
        notify: called with the commits when the block has ended.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.bare", url,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield
        async with asyncio.timeout(_END_SECONDS):
            output, _ = await process.communicate(b"")
        notify([Taken(started_ns, ms) for started_ns, ms in json.loads(output)])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _commit(url: str, ended: threading.Event) -> list[tuple[int, float]]:
    taken = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table if not exists bare_commit (row text)")
        while not ended.wait(_PAUSE_SECONDS):
            started = time.monotonic_ns()
            connection.execute("insert into bare_commit values (%s)", [_ROW], prepare=True)
            taken.append((started, (time.monotonic_ns() - started) / 1e6))
    return taken


def main(arguments: Sequence[str]) -> int:
    """Commit until standard input ends; the exit status."""
    (url,) = arguments
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    json.dump(_commit(url, ended), sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
