"""Publishes documents and dies of it: ``python -m tests.enrichment.publishing URL LEADERS``.

Each child process publishes one version and kills itself (SIGKILL) at the next line of the code of
documents, beginning anew at the first until one comes through. Prints how many have died.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import FrameType
from typing import Any

from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis

FILE = documents.__file__


def build(version: str, count: int) -> dict[str, bytes]:
    """Return documents that name their version."""
    return {f"{number}": version.encode() for number in range(count)}


async def publish(url: str, version: str, count: int) -> None:
    """Publish a version whose documents name it, upon the one that counts."""
    client = open_redis(url)
    base = await documents.version(client, "leaders")
    changed = build(version, count)
    await documents.publish(
        client, "leaders", version, changed, stands_ms=600_000, base=base, dropped=["gone"]
    )
    await client.aclose()


class _Death:
    """A trace function that kills its process at the nth line of the documents' code."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        # Each turn of a comprehension is a line; nothing becomes durable in it.
        if frame.f_code.co_filename != FILE or frame.f_code.co_name.startswith("<"):
            return None
        if event == "line":
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def main(url: str, count: int) -> None:
    """Publish and die, at each line in turn."""
    died = 0
    while True:
        child = os.fork()
        if not child:
            sys.settrace(_Death(died + 1))
            asyncio.run(publish(url, f"v{died + 1}", count))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            if status:
                sys.exit(f"exit {status}")
            sys.stdout.write(f"{died}")
            return
        died += 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
