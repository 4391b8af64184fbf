"""Other clients of the REST surface while copies are measured: reads at a steady rate.

A process of its own, so that what it costs is the machine's and not the bench's event loop. As a
command it gets URL, path and rate as arguments and the token on its input, and reads until that
closes; then it prints how many answers were right, how many were wrong, and for how many seconds.
To be turned away (429, 503) is neither: an edge does so when control gets no core for two seconds.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.system import BenchError
from launcher.state import ROOT

_CONNECTIONS = 32
_BEGIN_SECONDS = 60.0


@dataclass(slots=True)
class Pace:
    """When each read is due, whoever makes it; what was late is made at once."""

    per_second: int
    began: float = field(default_factory=time.monotonic)
    given: int = 0
    right: int = 0
    wrong: int = 0

    async def next(self) -> None:
        """Wait until the next read is due."""
        due = self.began + self.given / self.per_second
        self.given += 1
        await asyncio.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def reading(url: str, token: str, path: str, per_second: int) -> AsyncIterator[list[float]]:
    """Read meanwhile. What was reached, right answers a second, is in the list afterwards.

    Raises:
        BenchError: an answer was not right.
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own module; started once a setup
        [sys.executable, "-m", "bench.reads", url, path, str(per_second)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise BenchError("the reads have no input or output")
    reached: list[float] = []
    try:
        process.stdin.write(token + "\n")
        process.stdin.flush()
        # Not before the first answer: a short round would be over before anybody reads.
        async with asyncio.timeout(_BEGIN_SECONDS):
            await asyncio.to_thread(process.stdout.readline)
        yield reached
        said, _ = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    right, wrong, seconds = said.split()
    if wrong != "0":
        raise BenchError(f"{wrong} of the reads were answered wrongly")
    reached.append(int(right) / float(seconds))


async def _reader(pace: Pace, host: str, port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while True:
            await pace.next()
            writer.write(request)
            status = await reader.readline()
            length = 0
            while (line := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            await reader.readexactly(length)
            match status.split(b" ")[1:2]:
                case [b"200"]:
                    pace.right += 1
                    if pace.right == 1:
                        sys.stdout.write("begun\n")
                        sys.stdout.flush()
                case [b"429"] | [b"503"]:
                    pass
                case _:
                    pace.wrong += 1
    finally:
        writer.close()


async def _main(url: str, path: str, per_second: int) -> None:
    token = (await asyncio.to_thread(sys.stdin.readline)).strip()
    at = urlsplit(url)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    pace = Pace(per_second)
    readers = [
        asyncio.create_task(_reader(pace, at.hostname or "", at.port or 80, request))
        for _ in range(_CONNECTIONS)
    ]
    closed = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait([closed, *readers], return_when=asyncio.FIRST_COMPLETED)
    # A reader ends only when its connection breaks, which nobody shall take for a good answer.
    pace.wrong += sum(reader.done() for reader in readers)
    seconds = time.monotonic() - pace.began
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    sys.stdout.write(f"{pace.right} {pace.wrong} {seconds}\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
