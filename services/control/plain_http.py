"""HTTP/1.1 for plain reads: one request after the other on each of the edge's connections.

A library's server makes of each request and answer what nobody here reads (tables of headers,
payloads, decompression), refuses in words of its own what the edge lets by, and costs more than
what it serves ([decision](../../docs/adr/0030-reads-past-the-transcoder.md)). `httptools` parses;
two headers are looked at, and the others are nobody's.

Before it: the edge. After it: `reads`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import httptools

_LONGEST = 160 << 10
"""Bytes of a request: more than the edge hands on, 16 KiB of headers and 64 KiB of body."""
_ALIVE_SECONDS = 60
"""After so long without a word the other end is asked whether it is there. It is the edge that ends
connections, so that no request meets one that ends."""
_END_SECONDS = 1.0
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Asked:
    """One request."""

    verb: str = ""
    target: str = ""
    """Path and query as they came."""
    tokens: list[str] = field(default_factory=list)
    """Each Authorization header."""
    addresses: list[str] = field(default_factory=list)
    """Each X-Forwarded-For header."""
    body: bytes = b""


Answering = Callable[[Asked], Awaitable[bytes]]
"""The bytes of an answer, see ``answer``; it never raises."""


def answer(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """An answer as it is sent; names and values are our own."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}content-length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


@asynccontextmanager
async def listening(
    host: str, port: int, answering: Answering, context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """Answer until the block ends; yields the port.

    Raises:
        OSError: the port is taken.
    """
    open_: set[_Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(answering, open_), host, port, ssl=context
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        under_way = [one.task for one in open_ if one.task is not None]
        if under_way:
            await asyncio.wait(under_way, timeout=_END_SECONDS)
        for one in list(open_):
            one.end()


class _Connection(asyncio.Protocol):
    """One connection. A request that comes before the one before it was answered ends it."""

    def __init__(self, answering: Answering, open_: set[_Connection]) -> None:
        self._answering = answering
        self._open = open_
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._asked = Asked()
        self._bytes = 0
        self.task: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Close it; what is under way on it gets no answer."""
        if self._transport is not None:
            self._transport.abort()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        own: socket.socket = transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ALIVE_SECONDS)

    def connection_lost(self, _error: Exception | None) -> None:
        """It is gone. What is under way ends by itself: to stop it would cost more."""
        self._open.discard(self)

    def pause_writing(self) -> None:
        """Who does not take the answers may not ask."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """He has taken them."""
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """A part of a request; what is none, or is too long, ends the connection."""
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.end()
        if self._bytes > _LONGEST:
            self.end()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._asked = Asked()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._asked.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        name = name.lower()
        if name == b"authorization":
            self._asked.tokens.append(value.decode("latin-1"))
        elif name == b"x-forwarded-for":
            self._asked.addresses.append(value.decode("latin-1"))

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._asked.body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.task is not None:
            self.end()
            return
        asked, self._bytes = self._asked, 0
        asked.verb = self._parser.get_method().decode("latin-1")
        self.task = asyncio.get_running_loop().create_task(
            self._answer(asked, last=not self._parser.should_keep_alive())
        )

    async def _answer(self, asked: Asked, *, last: bool) -> None:
        said = await self._answering(asked)
        self.task = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(said)
            if last:
                self._transport.close()
