"""The two web sockets: the user channel, by API key, and the market channel, by asset."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import msgspec
from aiohttp import WSMsgType, web

from tradingtools.tasks import run_in_background

_CAPACITY = 20_000
_INBOUND = 1 << 20


class Socket:
    """A connected client: what it is subscribed to, and what waits to be sent."""

    def __init__(self, request: web.Request, response: web.WebSocketResponse) -> None:
        self.desired: set[str] = set()
        self.all_markets = False
        self.key = ""
        self._request = request
        self._response = response
        self._queue: asyncio.Queue[str] = asyncio.Queue(_CAPACITY)

    def push(self, text: str) -> None:
        """Queue a frame; who reads too slowly is cut off."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """End the connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        with suppress(ConnectionError):
            while True:
                await self._response.send_str(await self._queue.get())


class Channel:
    """The sockets of one channel; silent, it answers no ping and tells nothing; frozen, it only
    tells nothing."""

    def __init__(self, received: Callable[[Socket, bytes], Awaitable[bool]]) -> None:
        self.open: list[Socket] = []
        self.silent = self.frozen = False
        self._jumbled: list[tuple[Socket, str]] | None = None
        self._received = received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Run one connection to its end."""
        response = web.WebSocketResponse(compress=False, max_msg_size=_INBOUND)
        await response.prepare(request)
        socket = Socket(request, response)
        self.open.append(socket)
        async with run_in_background(socket.write()):
            try:
                async for message in response:
                    if message.type is not WSMsgType.TEXT or not await self._take(
                        socket, message.data
                    ):
                        await response.close(code=1008)
            finally:
                self.open.remove(socket)
        return response

    def send(self, frame: object, to: Iterable[Socket]) -> None:
        """Tell some sockets something."""
        text = msgspec.json.encode(frame).decode()
        if self.silent or self.frozen:
            return
        for socket in to:
            if self._jumbled is None:
                socket.push(text)
            else:
                self._jumbled.append((socket, text))

    def jumble(self, *, holds: bool) -> None:
        """Hold frames back, or let them go: the last one first, each twice."""
        held, self._jumbled = self._jumbled or [], [] if holds else None
        for socket, text in reversed(held):
            socket.push(text)
            socket.push(text)

    def drop(self) -> int:
        """End every connection; the number of them."""
        for socket in self.open:
            socket.abort()
        return len(self.open)

    async def _take(self, socket: Socket, text: str) -> bool:
        if text in ("PING", "ping"):
            if not self.silent:
                socket.push("PONG")
            return True
        return await self._received(socket, text.encode())
