"""The process that reads over REST while copies are measured: so many reads a second, in turns.

As a command it gets URL, rate and paths as arguments and the token on its input. Each further line
of its input begins or ends a stretch of reading: it answers with a line when the first right answer
has come, and with a line of counts (`bench.core.reads.Tally`, JSON) when the last has.

What it costs is the machine's, which is why it stands back for everybody else and reads no more of
an answer than where it ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench.core.reads import Answer, Tally, scan

_CONNECTIONS = 32
_NICE = 10
_TICK_SECONDS = 0.002
_LAST_SECONDS = 20.0


@dataclass(slots=True)
class _Reads:
    """State that all connections share: who is free, what is due, and what came of it."""

    requests: list[bytes]
    per_second: int
    tally: Tally = field(default_factory=Tally)
    idle: deque[_Connection] = field(default_factory=deque)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while nothing is under way, and for good when a connection broke."""
    sent: int = 0
    under_way: int = 0
    broken: int = 0

    async def stretch(self, until: asyncio.Event) -> Tally:
        """Read until told; returns when what was sent is answered, or is given up."""
        self.tally, self.sent = Tally(), 0
        self.first.clear()
        started = time.monotonic()
        while not until.is_set() and not self.broken:
            due = int((time.monotonic() - started) * self.per_second) + 1
            while self.sent < due and self.idle:
                connection = self.idle.popleft()
                self.under_way += 1
                self.quiet.clear()
                connection.send(
                    self.requests[self.sent % len(self.requests)],
                    started + self.sent / self.per_second,
                )
                self.sent += 1
            await asyncio.sleep(_TICK_SECONDS)
        self.tally.requested = int((time.monotonic() - started) * self.per_second)
        self.tally.seconds = time.monotonic() - started
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self.quiet.wait()
        # Whoever broke a connection has not answered, which nobody shall take for a good answer.
        self.tally.wrong += self.under_way + self.broken
        return self.tally


class _Connection(asyncio.Protocol):
    """One connection that asks again when it has its answer."""

    def __init__(self, reads: _Reads) -> None:
        self._reads = reads
        self._buffer = b""
        self._due = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Free from now on."""
        # uvloop's transports are of classes of their own.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._reads.idle.append(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Somebody else ended it."""
        self._reads.broken += 1
        self._reads.quiet.set()

    def send(self, request: bytes, due: float) -> None:
        """Ask; ``due``: when it was to be asked, monotonic seconds."""
        self._due = due
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """A part of an answer, or all of it."""
        self._buffer += data
        answer = scan(self._buffer)
        if answer is None:
            return
        self._buffer = b""
        reads = self._reads
        reads.tally.count(answer, time.monotonic() - self._due)
        reads.under_way -= 1
        if not reads.under_way:
            reads.quiet.set()
        if answer is Answer.RIGHT:
            reads.first.set()
        reads.idle.append(self)


async def _main(url: str, per_second: int, paths: list[str]) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    token = (await lines.readline()).decode().strip()
    at = urlsplit(url)
    head = f"HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
    reads = _Reads([f"GET {path} {head}".encode() for path in paths], per_second)
    connections = [
        await loop.create_connection(lambda: _Connection(reads), at.hostname or "", at.port or 80)
        for _ in range(_CONNECTIONS)
    ]
    while await lines.readline():
        until = asyncio.Event()
        stretch = asyncio.create_task(reads.stretch(until))
        started = asyncio.create_task(reads.first.wait())
        await asyncio.wait([stretch, started], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        _say(b"reading")
        await lines.readline()
        until.set()
        _say(msgspec.json.encode(await stretch))
    for transport, _ in connections:
        transport.abort()


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    os.nice(_NICE)
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
