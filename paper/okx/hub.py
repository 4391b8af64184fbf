"""Open sockets, what each has subscribed to, and ways to misbehave toward them."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping
from contextlib import suppress

import msgspec
from aiohttp import web

from paper.okx.core.auth import Key
from paper.okx.journal import Journal
from paper.okx.wire.envelope import Json

_CAPACITY = 20_000

Arg = Mapping[str, str]


class Connection:
    """A connected client; one that reads too slowly is cut off."""

    def __init__(self, conn_id: str, response: web.WebSocketResponse, request: web.Request) -> None:
        self.conn_id = conn_id
        self.key: Key | None = None
        self.subscribed: dict[tuple[Hashable, bytes], Arg] = {}
        self._response = response
        self._request = request
        self._queue: asyncio.Queue[str] = asyncio.Queue(_CAPACITY)
        self._pushed = False

    def pushed_since(self) -> bool:
        """Return whether a frame was pushed since the last call."""
        pushed, self._pushed = self._pushed, False
        return pushed

    def push(self, frame: str) -> None:
        """Queue a frame; a full queue ends the connection."""
        self._pushed = True
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    def say(self, message: Json) -> None:
        """Queue a message."""
        self.push(encode(message))

    def abort(self) -> None:
        """End the connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        with suppress(ConnectionError):
            while True:
                await self._response.send_str(await self._queue.get())


def encode(message: object) -> str:
    """A message as text."""
    return msgspec.json.encode(message).decode()


class Hub:
    """The connections and their subscriptions."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._subscribers: defaultdict[Hashable, dict[tuple[str, bytes], tuple[Connection, Arg]]]
        self._subscribers = defaultdict(dict)
        self._connections: dict[str, Connection] = {}
        self._count = 0
        self.hold_ms: dict[str, int] = {}
        """By account: private frames leave so much later."""
        self.repeat: dict[str, int] = {}
        """By account: so many private frames leave twice."""
        self.lose: dict[str, int] = {}
        """By account: so many private frames never leave."""
        self._jumbled: dict[str, list[tuple[Connection, str]]] = {}
        self._late: set[asyncio.TimerHandle] = set()

    def opened(self, response: web.WebSocketResponse, request: web.Request) -> Connection:
        """Take a new connection in."""
        self._count += 1
        connection = Connection(f"{self._count:08x}", response, request)
        self._connections[connection.conn_id] = connection
        return connection

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection.conn_id, None)
        for topic, arg in list(connection.subscribed):
            self._subscribers[topic].pop((connection.conn_id, arg), None)

    def subscribe(self, connection: Connection, topic: Hashable, arg: Arg) -> None:
        """Let a connection hear of a topic; what it hears names `arg`."""
        key = msgspec.json.encode(arg)
        connection.subscribed[topic, key] = arg
        self._subscribers[topic][connection.conn_id, key] = (connection, arg)

    def unsubscribe(self, connection: Connection, topic: Hashable, arg: Arg) -> None:
        """Let a connection hear of a topic no more."""
        key = msgspec.json.encode(arg)
        connection.subscribed.pop((topic, key), None)
        self._subscribers[topic].pop((connection.conn_id, key), None)

    def received(self, topic: Hashable) -> bool:
        """Return whether anybody listens to a topic."""
        return bool(self._subscribers.get(topic))

    def publish(self, topic: Hashable, data: list[object], *, action: str = "") -> None:
        """Tell everybody who listens to a topic."""
        for connection, arg in list(self._subscribers.get(topic, {}).values()):
            connection.push(encode(frame(arg, data, action=action)))

    def notify(self, account: str, channel: str, row: Json, **more: object) -> None:
        """Tell an account's sockets that subscribed to a channel and to this row's instrument."""
        listeners = list(self._subscribers.get((channel, account), {}).values())
        for connection, arg in listeners:
            if not _desired(arg, row):
                continue
            message = frame({**arg, "uid": account}, [row], **more)
            self._journal.pushed(
                at_ns=time.time_ns(),
                account=account,
                via=connection.conn_id,
                what=channel,
                body=message,
            )
            self._send(account, connection, encode(message))

    def drop(self, account: str = "") -> int:
        """Cut the sockets of an account, or all; the number of them."""
        chosen = [
            one
            for one in self._connections.values()
            if not account or (one.key is not None and one.key.account == account)
        ]
        for one in chosen:
            one.abort()
        return len(chosen)

    def jumble(self, account: str, *, holds: bool) -> None:
        """Hold back an account's private frames, or let them go: the last one first, each twice."""
        if holds:
            self._jumbled.setdefault(account, [])
            return
        for connection, text in reversed(self._jumbled.pop(account, [])):
            connection.push(text)
            connection.push(text)

    def stop(self) -> None:
        """Send nothing that is still held."""
        for timer in self._late:
            timer.cancel()

    def _send(self, account: str, connection: Connection, text: str) -> None:
        if self.lose.get(account, 0) > 0:
            self.lose[account] -= 1
            return
        if account in self._jumbled:
            self._jumbled[account].append((connection, text))
            return
        times = 1
        if self.repeat.get(account, 0) > 0:
            self.repeat[account] -= 1
            times = 2
        hold = self.hold_ms.get(account, 0)
        for _ in range(times):
            if hold:
                loop = asyncio.get_running_loop()
                self._late.add(loop.call_later(hold / 1000, connection.push, text))
            else:
                connection.push(text)


def frame(arg: Mapping[str, object], data: list[object], **more: object) -> Json:
    """A pushed message; keywords that are empty are left out."""
    return {"arg": arg, **{name: value for name, value in more.items() if value}, "data": data}


def _desired(arg: Arg, row: Json) -> bool:
    if arg.get("instType", "ANY") not in ("ANY", row.get("instType")):
        return False
    if "instFamily" in arg and not str(row.get("instId", "")).startswith(arg["instFamily"]):
        return False
    return "instId" not in arg or arg["instId"] == row.get("instId")
