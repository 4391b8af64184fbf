"""The venue gateway: takes POSTs, notes when they came, answers as insiders-api would.

All contestants send here. It does as little as it can between a POST's arrival and its note, and
it accepts and fills everything; what it must not do is be the slowest part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import cast

import msgspec

from tradingtools.domain.money import MICROS, parse_exact, to_text

_HEAD_END = b"\r\n\r\n"
_CAPABILITIES = msgspec.json.encode(
    {
        "idempotency": True,
        "notAfter": True,
        "getByKey": True,
        "void": True,
        "longestProcessingMs": 1000,
    }
)
_NOT_FOUND = msgspec.json.encode({"error": {"code": "ORDER_NOT_FOUND", "message": "no such key"}})


class Contestant(Enum):
    """The contestants; the value is what the path of its POSTs begins with."""

    FLOOR = "/floor"
    SKELETON = "/skeleton"
    SYSTEM = ""


_BY_PATH = {
    f"{each.value}/api/trade/{side}".encode(): each
    for each in Contestant
    for side in ("buy", "sell")
}


class Arrivals:
    """When the POSTs of the burst under way came."""

    def __init__(self) -> None:
        self._desired = 0
        self._of = Contestant.SYSTEM
        self._came: list[int] = []
        self._all = asyncio.Event()
        self.watched = ""
        """The follower's wallet whose next POST is noted on its own."""
        self.watched_ns = 0
        self.last_post_ns = 0
        self.strays = 0
        """POSTs that belong to no burst."""

    def expect(self, count: int, of: Contestant = Contestant.SYSTEM) -> None:
        """Begin a burst of ``count`` POSTs of one contestant."""
        self._desired, self._of, self._came = count, of, []
        self._all.clear()

    async def complete(self, seconds: float) -> list[int]:
        """Monotonic nanoseconds of each POST, in order. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._all.wait()
        return self._came

    @property
    def count(self) -> int:
        """Return how many have come."""
        return len(self._came)

    def note(self, at_ns: int, of: Contestant, follower: str = "") -> None:
        """One POST has come."""
        if follower and follower == self.watched:
            self.watched_ns = at_ns
        if of is not self._of or len(self._came) >= self._desired:
            self.strays += 1
            return
        self._came.append(at_ns)
        if len(self._came) == self._desired:
            self._all.set()


class _Order(msgspec.Struct, rename="camel"):
    follower_proxy: str
    size: str
    limit_price: str


class _Connection(asyncio.Protocol):
    def __init__(self, side: Gateway) -> None:
        self._side = side
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._buffer += data
        while True:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return
            head = self._buffer[:end]
            length = int(_header(head, b"content-length") or 0)
            total = end + len(_HEAD_END) + length
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            answer = self._side.answer(head, body, now)
            if self._side.answer_ms and head.startswith(b"POST"):
                asyncio.get_running_loop().call_later(
                    self._side.answer_ms / 1000, self._write, answer
                )
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


def _header(head: bytes, name: bytes) -> bytes:
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    begin = at + len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].strip()


class Gateway:
    """Answers requests; see `docs/insiders-api.yaml` for the shapes."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.answer_ms = 0
        self.port = 0
        self._orders: dict[bytes, bytes] = {}

    def answer(self, head: bytes, body: bytes, at_ns: int) -> bytes:
        """The whole response to one request."""
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            self.arrivals.last_post_ns = at_ns
        of = _BY_PATH.get(path) if method == b"POST" else None
        if of is Contestant.FLOOR:
            self.arrivals.note(at_ns, of)
            return _response(b"201 Created", body)
        if of is not None:
            sent = msgspec.json.decode(body, type=_Order)
            self.arrivals.note(at_ns, of, sent.follower_proxy)
            key = _header(head, b"idempotency-key")
            order = _filled(key, sent)
            self._orders[key] = order
            return _response(b"201 Created", order)
        if path == b"/api/capabilities":
            return _response(b"200 OK", _CAPABILITIES)
        known = self._orders.get(path.rpartition(b"/")[2])
        return (
            _response(b"404 Not Found", _NOT_FOUND)
            if known is None
            else _response(b"200 OK", known)
        )


def _filled(key: bytes, order: _Order) -> bytes:
    # Filled whole at the limit; sizes have two decimals and prices at most four: exact in micros.
    notional = to_text(parse_exact(order.size) * parse_exact(order.limit_price) // MICROS)
    text = key.decode()
    return msgspec.json.encode(
        {
            "orderId": f"o-{text[:40]}",
            "idempotencyKey": text,
            "status": "MATCHED",
            "closed": True,
            "filledSize": order.size,
            "filledNotional": notional,
            "fee": "0",
            "trades": [
                {
                    "tradeId": f"t-{text[:40]}",
                    "size": order.size,
                    "price": order.limit_price,
                    "notional": notional,
                    "fee": "0",
                    "status": "CONFIRMED",
                }
            ],
        }
    )


def _response(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (status, len(body))
        + body
    )


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    """A venue gateway on a port of its own."""
    side = Gateway()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(side), "127.0.0.1", 0, backlog=1024
    )
    side.port = server.sockets[0].getsockname()[1]
    try:
        yield side
    finally:
        server.close()
