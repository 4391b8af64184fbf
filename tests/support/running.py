"""Servers of the project that run in a thread of the test, for tests that block."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 60.0


@contextmanager
def running(run: Callable[[asyncio.Event], Awaitable[None]], ready: Path) -> Iterator[None]:
    """Run a server for the length of the block; it serves once a file is there."""
    loop, stop, failed = asyncio.new_event_loop(), asyncio.Event(), list[BaseException]()

    async def work() -> None:
        await run(stop)
        for _ in range(20):  # what was aborted is closed by the loop's next turns
            await asyncio.sleep(0)

    def serve() -> None:
        try:
            loop.run_until_complete(work())
        except BaseException as error:  # noqa: BLE001 - the test has to see it
            failed.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        end = time.monotonic() + WAIT_S
        while not (ready.exists() or failed):
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.005)
        if failed:
            raise failed[0]
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
        loop.close()
        ready.unlink(missing_ok=True)
    if failed:
        raise failed[0]
