"""The trade feed (RTDS): every trade to every subscriber, with the faults of the real one.

A socket that does not send `ping` goes silent while it stays open; filters yield nothing; a
malformed or repeated subscription drops the connection; empty text frames come between. Each row
reaches each socket at its own moment, some late, some on one socket only.
Before: `venue`, `crowd`. After: the engine's ingest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from paper.venue.core import rng
from paper.venue.core.ledger import PlayedRow
from paper.venue.core.markets import Market
from paper.venue.core.trade import Trade
from paper.venue.journal import Journal
from paper.venue.sockets import Socket, Sockets
from paper.venue.wire import feed

_JITTER_MS = 25
_EMPTY_EVERY = 200  # frames of data per empty frame, about


class _Subscription(msgspec.Struct, frozen=True):
    topic: str
    type: str
    filters: str | None = None


class _Request(msgspec.Struct, frozen=True):
    action: str
    subscriptions: list[_Subscription]


_DECODER = msgspec.json.Decoder(_Request)


class Refused(ValueError):
    """A request of a client that costs it the connection."""


@dataclass(slots=True)
class _Client:
    socket: Socket
    head: str
    pinged: float
    desired: set[tuple[str, str]] = field(default_factory=set)
    filtered: set[tuple[str, str]] = field(default_factory=set)

    def wants(self, topic_type: str) -> bool:
        return not self.desired.isdisjoint({("activity", topic_type), ("activity", "*")})


class Rtds:
    """Serves the web socket and publishes rows to it. `ping_grace_s`: silence after no ping."""

    def __init__(self, *, seed: int, journal: Journal, ping_grace_s: float) -> None:
        self.sockets = Sockets()
        self._seed = seed
        self._journal = journal
        self._grace = ping_grace_s
        self._clients: dict[int, _Client] = {}
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """Frames of leaders' rows that are not written to their socket yet."""
        return self._under_way + sum(client.socket.unsent for client in self._clients.values())

    @property
    def subscribers(self) -> int:
        """Sockets with at least one subscription."""
        return sum(bool(client.desired) for client in self._clients.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The web socket endpoint."""
        return await self.sockets.serve(
            request, opened=self._opened, received=self._received, closed=self._closed
        )

    def publish(self, row: PlayedRow, name: str, late_ms: int, single: bool) -> None:
        """Send a leader's row to all sockets; `name` seeds who gets it when."""
        clients = list(self._clients.values())
        base = rng.key(self._seed, "jitter", name)
        keeper = rng.pick(base, clients) if single and len(clients) > 1 else None
        body = feed.payload(row.trade, row.market, row.timestamp_s, row.fee)
        for client in clients:
            if keeper is None or client is keeper:
                self._later(client, body, row.trade, base, late_ms)

    def mingle(self, trade: Trade, market: Market, fee: int | None, *, maker: bool) -> None:
        """Send a row of the crowd; makers' rows come on both topics."""
        clients = self._clients.values()
        if not clients:
            return
        sent_ms = time.time_ns() // 1_000_000
        body = feed.payload(trade, market, sent_ms // 1000, fee)
        for topic in (feed.TRADES, feed.ORDERS_MATCHED) if maker else (feed.TRADES,):
            tail = feed.tail(body, topic, sent_ms)
            for client in clients:
                if client.wants(topic) and self._flows(client):
                    client.socket.push(client.head + tail)

    def _later(self, client: _Client, body: bytes, trade: Trade, base: int, late_ms: int) -> None:
        loop = asyncio.get_running_loop()
        for place, topic in enumerate((feed.TRADES, feed.ORDERS_MATCHED)):
            draw = rng.mix(base, 2 * client.socket.number + place)
            delay_ms = late_ms + rng.between(draw, 0, _JITTER_MS)
            self._under_way += 1
            loop.call_later(delay_ms / 1000, self._arrive, client, topic, body, trade)
            if draw >> 32 < (1 << 32) // _EMPTY_EVERY:
                loop.call_later(delay_ms / 1000, client.socket.push, "")

    def _arrive(self, client: _Client, topic: str, body: bytes, trade: Trade) -> None:
        self._under_way -= 1
        self._send(client, topic, body, trade)

    def _send(self, client: _Client, topic: str, body: bytes, trade: Trade) -> None:
        if not client.wants(topic) or not self._flows(client):
            return
        row = (trade.tx, trade.wallet, trade.asset, trade.side, trade.price_text, trade.size_text)

        def sent(ns: int) -> None:
            self._journal.add(topic=topic, row=row, socket=client.socket.number, ns=ns)

        tail = feed.tail(body, topic, time.time_ns() // 1_000_000)
        client.socket.push(client.head + tail, sent)

    def _flows(self, client: _Client) -> bool:
        return not self.sockets.stalled and time.monotonic() - client.pinged < self._grace

    def _opened(self, socket: Socket) -> None:
        connection_id = f"{rng.key('connection', socket.number, time.time_ns()):016x}="
        self._clients[socket.number] = _Client(
            socket, feed.head(connection_id), pinged=time.monotonic()
        )

    def _closed(self, socket: Socket) -> None:
        del self._clients[socket.number]

    async def _received(self, socket: Socket, text: str) -> bool:
        client = self._clients[socket.number]
        if text in ("ping", "PING"):
            client.pinged = time.monotonic()
            socket.push("PONG")
            return True
        try:
            _subscribe(client, text)
        except (Refused, msgspec.DecodeError):
            return False
        socket.push("")
        return True


def _subscribe(client: _Client, text: str) -> None:
    """Change what the client wants. Raises Refused or msgspec.DecodeError."""
    request = _DECODER.decode(text)
    changes: dict[str, Callable[[_Subscription], None]] = {
        "subscribe": lambda one: _add(client, one),
        "unsubscribe": lambda one: _remove(client, one),
    }
    if request.action not in changes or not request.subscriptions:
        raise Refused("action or subscriptions")
    for one in request.subscriptions:
        if not one.topic or not one.type:
            raise Refused("topic or type")
        changes[request.action](one)


def _add(client: _Client, one: _Subscription) -> None:
    desired = (one.topic, one.type)
    if desired in client.desired | client.filtered:
        raise Refused("already subscribed")
    if one.filters:
        msgspec.json.decode(one.filters)
        client.filtered.add(desired)  # filters are known to yield nothing on the real feed
    else:
        client.desired.add(desired)


def _remove(client: _Client, one: _Subscription) -> None:
    client.desired.discard((one.topic, one.type))
    client.filtered.discard((one.topic, one.type))
