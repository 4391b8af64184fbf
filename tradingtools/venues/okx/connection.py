"""One web socket to OKX, kept alive: a silent one is asked for a sign of life, then given up.

The venue closes a connection after 30 seconds of silence, and answers the text ping with pong.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from tradingtools import clock
from tradingtools.venues.okx.limits import Charge, RateLimits, Scope
from tradingtools.venues.okx.wire import PING

GONE = (OSError, TimeoutError, WebSocketException)
"""What connecting, sending and receiving raise when there is no connection (any more)."""
_SUBSCRIPTION = (Charge(Scope.SUBSCRIBE),)
_BIGGEST_FRAME = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The waits of a connection, in seconds."""

    open: float = 10.0
    silent: float = 20.0
    """Without a frame it is asked for a sign of life."""
    dead: float = 10.0
    """Without one it is given up."""
    pauses: tuple[float, ...] = (0.4, 1.0, 2.0, 5.0, 10.0)
    """Before each new connection; at most three a second are allowed."""


class Connection:
    """Sends and receives frames."""

    def __init__(self, socket: ClientConnection, patience: Patience) -> None:
        self._socket = socket
        self._patience = patience
        self._limits = RateLimits()

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended, as far as is known here."""
        return self._socket.state is State.OPEN

    async def send(self, frame: str) -> None:
        """Send a text frame. Raises one of GONE."""
        await self._socket.send(frame)

    async def subscribe(self, frame: str) -> None:
        """Send a login or a subscription. Raises one of GONE, also when there were too many."""
        now_ms = clock.monotonic_ms()
        if self._limits.wait_ms(_SUBSCRIPTION, now_ms) != 0:
            raise TimeoutError("no more subscriptions over this connection")
        self._limits.begin(_SUBSCRIPTION)
        self._limits.end(_SUBSCRIPTION, now_ms)
        await self.send(frame)

    async def receive(self) -> bytes:
        """Return the next frame. Raises one of GONE, also when the far side is silent."""
        try:
            async with asyncio.timeout(self._patience.silent):
                return await self._socket.recv(decode=False)
        except TimeoutError:
            await self._socket.send(PING)
        async with asyncio.timeout(self._patience.dead):
            return await self._socket.recv(decode=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A path of the venue's sockets."""

    url: str
    """``ws://`` or ``wss://``."""
    patience: Patience = Patience()
    demo: bool = False
    """The venue's demo trading."""
    tls: ssl.SSLContext | None = None
    """Trusted authorities; None: the system's."""


@asynccontextmanager
async def open_connection(endpoint: Endpoint) -> AsyncIterator[Connection]:
    """Connect for the length of the block.

    Raises:
        OSError, TimeoutError, WebSocketException: the connection could not be made.
    """
    async with connect(
        endpoint.url,
        max_size=_BIGGEST_FRAME,
        open_timeout=endpoint.patience.open,
        close_timeout=1.0,
        ping_interval=None,
        additional_headers={"x-simulated-trading": "1"} if endpoint.demo else {},
        ssl=(endpoint.tls or True) if endpoint.url.startswith("wss://") else None,
    ) as socket:
        yield Connection(socket, endpoint.patience)
