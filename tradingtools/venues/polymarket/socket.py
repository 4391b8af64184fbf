"""One web socket connection to the venue, kept alive by text pings.

The venue wants a word as a text frame every few seconds and falls silent without it. Reconnecting
is the caller's: only it knows what a gap means.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tradingtools.tasks import run_in_background

CLOSED = (OSError, TimeoutError, WebSocketException)
"""What connecting, sending and receiving raise when there is no connection (any more)."""
TOO_BIG = 1009


@asynccontextmanager
async def open_socket(
    url: str, *, ping: str, ping_seconds: float, max_bytes: int
) -> AsyncIterator[ClientConnection]:
    """Connect, and ping for the length of the block.

    Args:
        url: ``ws://`` or ``wss://``.
        ping: the text that the venue expects.
        ping_seconds: how often.
        max_bytes: a bigger message ends the connection with code 1009.

    Raises:
        OSError, TimeoutError, WebSocketException: the connection could not be made.
    """
    async with (
        connect(
            url, max_size=max_bytes, compression=None, open_timeout=10.0, close_timeout=1.0
        ) as socket,
        run_in_background(_ping(socket, ping, ping_seconds)),
    ):
        yield socket


async def _ping(socket: ClientConnection, text: str, seconds: float) -> None:
    with suppress(ConnectionClosed):
        while True:
            await socket.send(text)
            await asyncio.sleep(seconds)


def was_too_big(error: Exception) -> bool:
    """Return whether a connection ended because a message was above ``max_bytes``."""
    sent = error.sent if isinstance(error, ConnectionClosed) else None
    return sent is not None and sent.code == TOO_BIG


def check_url(url: str) -> str:
    """Return the URL itself. Raises ValueError when it is no web socket URL."""
    if not url.startswith(("ws://", "wss://")):
        raise ValueError("is not a ws:// or wss:// URL")
    return url
