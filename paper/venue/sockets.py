"""One web socket of the venue: a bounded queue, a writer, and ways to misbehave.

A reader that is too slow is cut off rather than buffered without end, as a real venue does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from tradingtools.tasks import run_in_background

_CAPACITY = 20_000
_INBOUND = 1 << 20  # bytes of one message

Sent = Callable[[int], None]  # told the wall clock (ns) once the frame is written


class Socket:
    """A connected client. `number` counts from 1 over the life of the process."""

    def __init__(self, number: int, response: web.WebSocketResponse, request: web.Request) -> None:
        self.number = number
        self._response = response
        self._request = request
        self._queue: asyncio.Queue[tuple[str, Sent | None]] = asyncio.Queue(_CAPACITY)
        self.unsent = 0
        """Frames that somebody wants to be told of and that are not written."""

    def push(self, text: str, sent: Sent | None = None) -> None:
        """Queue a frame; a full queue ends the connection."""
        try:
            self._queue.put_nowait((text, sent))
            self.unsent += sent is not None
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """End the connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def close(self, code: int) -> None:
        """End the connection with a closing handshake."""
        await self._response.close(code=code)

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        with suppress(ConnectionError):
            while True:
                text, sent = await self._queue.get()
                await self._response.send_str(text)
                if sent:
                    self.unsent -= 1
                    sent(time.time_ns())


class Sockets:
    """The open sockets of one feed; stalled, it sends no data but still answers pings."""

    def __init__(self) -> None:
        self.open: dict[int, Socket] = {}
        self._count = 0
        self._stalled_until = 0.0

    @property
    def stalled(self) -> bool:
        """Return whether data is held back now; what is held back is lost."""
        return time.monotonic() < self._stalled_until

    def stall(self, seconds: float) -> None:
        """Send no data for so long from now; 0 ends it."""
        self._stalled_until = time.monotonic() + seconds

    def garbage(self, text: str) -> None:
        """Send a raw frame to every socket."""
        for socket in self.open.values():
            socket.push(text)

    async def drop(self, *, abort: bool) -> int:
        """End every connection; the number of them."""
        sockets = list(self.open.values())
        if abort:
            for socket in sockets:
                socket.abort()
        else:
            await asyncio.gather(*(socket.close(1001) for socket in sockets))
        return len(sockets)

    async def serve(
        self,
        request: web.Request,
        *,
        opened: Callable[[Socket], None],
        received: Callable[[Socket, str], Awaitable[bool]],
        closed: Callable[[Socket], None],
    ) -> web.WebSocketResponse:
        """Run one connection to its end. `received` answers False to have it dropped."""
        response = web.WebSocketResponse(compress=False, max_msg_size=_INBOUND)
        await response.prepare(request)
        self._count += 1
        socket = Socket(self._count, response, request)
        self.open[socket.number] = socket
        opened(socket)
        async with run_in_background(socket.write()):
            try:
                async for message in response:
                    if message.type is not WSMsgType.TEXT or not await received(
                        socket, message.data
                    ):
                        await response.close(code=1008)
            finally:
                del self.open[socket.number]
                closed(socket)
        return response
