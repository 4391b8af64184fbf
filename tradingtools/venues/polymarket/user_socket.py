"""The user channel of one wallet: connected, subscribed, watched, and connected again.

The venue answers a subscription with silence, so a text ping behind it is waited for: frames are
read in order, and what comes after its answer is told completely. A socket that answers no ping is
dead, however open it looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from websockets.asyncio.client import ClientConnection

from tradingtools import clock
from tradingtools.venues.polymarket import order_requests, user_channel
from tradingtools.venues.polymarket.account_rows import Facts, Owner, RowUnreadable
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.order_index import OrderIndex
from tradingtools.venues.polymarket.socket import CLOSED, open_socket
from tradingtools.venues.trading import AccountEvent, Connected, Disconnected

PING_SECONDS = 10.0
SILENT_SECONDS = 30.0
_BIGGEST_FRAME = 4 * 1024 * 1024
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
_PONG = "PONG"

Tell = Callable[[AccountEvent], None]

_log = structlog.get_logger()


class UserSocket:
    """Tells what the user channel says.

    Args:
        url: of the channel.
        api_key: whose; its secret travels in the first frame.
        ping_seconds: how often the venue is asked for a sign of life.
        silent_seconds: a socket that gives none for so long is given up.
    """

    def __init__(
        self,
        url: str,
        api_key: ApiKey,
        *,
        ping_seconds: float = PING_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self._url = url
        self._api_key = api_key
        self._ping_seconds = ping_seconds
        self._silent_seconds = silent_seconds

    async def run(self, notify: Tell, owner: Owner, index: OrderIndex, facts: Facts) -> None:
        """Tell each event, Connected and Disconnected around them, for ever."""
        failures = 0
        while True:
            connected = False
            try:
                async with open_socket(
                    self._url,
                    ping="PING",
                    ping_seconds=self._ping_seconds,
                    max_bytes=_BIGGEST_FRAME,
                ) as socket:
                    await self._subscribe(socket)
                    connected, failures = True, 0
                    notify(Connected(venue_ms=clock.now_ms()))
                    await self._listen(socket, notify, owner, index, facts)
            except (*CLOSED, RowUnreadable) as error:
                if connected:
                    notify(Disconnected(detail=f"{type(error).__name__}: {error}"[:200]))
                _log.info("user_channel_closed", error=type(error).__name__)
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _subscribe(self, socket: ClientConnection) -> None:
        first = order_requests.subscribe(
            api_key=self._api_key.key,
            secret=self._api_key.secret,
            passphrase=self._api_key.passphrase,
        )
        await socket.send(first)
        await socket.send("PING")
        async with asyncio.timeout(self._silent_seconds):
            # One answers the ping that every socket begins with, one the ping behind the
            # subscription. What is told between is read by REST, as all that was missed.
            for _ in range(2):
                while await socket.recv() != _PONG:
                    pass

    async def _listen(
        self, socket: ClientConnection, notify: Tell, owner: Owner, index: OrderIndex, facts: Facts
    ) -> None:
        while True:
            async with asyncio.timeout(self._silent_seconds):
                frame = await socket.recv()
            if not isinstance(frame, str) or not frame.lstrip().startswith(("{", "[")):
                continue
            # A row that cannot be read ends the connection: what it told has to be read by REST.
            for event in user_channel.decode(frame, owner, index, facts):
                notify(event)
