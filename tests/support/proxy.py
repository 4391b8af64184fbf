"""A TCP proxy that misbehaves on command, to be put between any two processes.

It runs in the test's own event loop. What it does to a byte stream is what networks do: delay it,
stop it, cut it, reset it, lose one direction. Bytes inside a living connection are never lost for
good, because TCP never does that: a connection that lost some is reset when the weather clears.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

_CHUNK = 65_536


class Direction(Enum):
    """The direction of bytes, seen from the client."""

    OUT = "out"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The fault of bytes on their way; the default is nothing."""

    latency_ms: int = 0
    """Each piece waits so long."""
    stalled: bool = False
    """Nothing moves and nothing breaks; what was held goes on when it ends."""
    lost: frozenset[Direction] = frozenset()
    """What goes this way vanishes."""
    cut_after: int | None = None
    """Each connection is reset after so many bytes of answers."""
    deaf: bool = False
    """Half open: when the server ends a connection, the client is not told."""


FAIR = Weather()


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.answered = 0
        self.damaged = False

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _abort(writer)


def _abort(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            # Lingering for no time makes the close a reset instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Forwards connections of one port to one server.

    Args:
        host: of the server.
        port: of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._target = port
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._weather = FAIR
        self._changed = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self.port = 0

    @property
    def weather(self) -> Weather:
        """Return what befalls bytes now."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @property
    def connections(self) -> int:
        """Return how many are open now."""
        return len(self._links)

    def lead_to(self, port: int) -> None:
        """Another server is behind it from now on, as when an address moves in a failover."""
        self._target = port
        self.reset()

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse new connections and reset the present ones, until `heal`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.reset()

    def reset(self) -> None:
        """Reset every present connection."""
        for link in list(self._links):
            link.reset()

    def half_open(self) -> None:
        """Let the servers' sides go; the clients hear nothing of it, now or later."""
        self.weather = Weather(deaf=True)
        for link in list(self._links):
            link.damaged = True
            _abort(link.server)

    async def heal(self) -> None:
        """Fair weather again; connections that lost bytes or a side are reset."""
        self.weather = FAIR
        for link in list(self._links):
            if link.damaged:
                link.reset()
        await self.listen()

    async def close(self) -> None:
        """End everything."""
        self.weather = FAIR
        self.refuse()
        while self._tasks:
            await asyncio.wait(self._tasks)
            self.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server = await asyncio.open_connection(self._host, self._target)
        except OSError:
            _abort(writer)
            return
        if server.get_extra_info("sockname") == server.get_extra_info("peername"):
            # Nobody listened, and the kernel chose the very port: a connection to itself.
            _abort(server)
            _abort(writer)
            return
        link = _Link(writer, server)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pump(link, reader, server, Direction.OUT),
                self._pump(link, server_reader, writer, Direction.BACK),
            )
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(
        self,
        link: _Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._wait_out(direction)
                if direction in self._weather.lost:
                    link.damaged = True
                    continue
                data, cut = self._cut(link, data, direction)
                writer.write(data)
                await writer.drain()
                if cut:
                    link.reset()
                    return
        if direction is Direction.BACK:
            while self._weather.deaf:
                link.damaged = True
                await self._changed.wait()
        if not link.damaged:
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()

    async def _wait_out(self, direction: Direction) -> None:
        if self._weather.latency_ms:
            await asyncio.sleep(self._weather.latency_ms / 1000)
        while self._weather.stalled:
            await self._changed.wait()

    def _cut(self, link: _Link, data: bytes, direction: Direction) -> tuple[bytes, bool]:
        limit = self._weather.cut_after
        if limit is None or direction is Direction.OUT:
            return data, False
        link.answered += len(data)
        over = link.answered - limit
        return (data[: max(0, len(data) - over)], True) if over > 0 else (data, False)


@asynccontextmanager
async def proxied(port: int, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy in front of a port, for the length of the block."""
    proxy = Proxy(host, port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
