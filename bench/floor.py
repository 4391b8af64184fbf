"""The durable floor: what no copier that survives a crash can do without, and nothing else.

Web socket in, the leader's wallet found in the frame, the bodies of all followers made, one append
with one fsync, raw POSTs over warm connections. No limits, no states, no database, no second
process. `python -m bench.floor FEED_PORT FAR_PORT FILE LEADER=FOLLOWERS ...`
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec
import uvloop
from websockets.asyncio.client import connect

from bench.gateway import Contestant

CONNECTIONS = 64
_PATH = f"{Contestant.FLOOR.value}/api/trade/buy"


class Trade(msgspec.Struct):
    """The part of a leader's trade that is needed to copy it."""

    asset: str
    proxyWallet: str
    price: float
    transactionHash: str


class _Frame(msgspec.Struct):
    payload: Trade


_decode = msgspec.json.Decoder(_Frame).decode


def read_frame(data: bytes, leaders: Mapping[bytes, int]) -> tuple[Trade, int] | None:
    """A leader's trade and how many follow him; None: nobody follows whom it is about."""
    found = next((n for wallet, n in leaders.items() if wallet in data), 0)
    return (_decode(data).payload, found) if found else None


def orders(trade: Trade, followers: int) -> Iterator[tuple[str, bytes]]:
    """Key and body of each follower's order."""
    for number in range(followers):
        key = hashlib.sha256(f"{trade.transactionHash}|{number}|0".encode()).hexdigest()
        yield (
            key,
            msgspec.json.encode(
                {
                    "followerProxy": f"0x{number:040x}",
                    "assetId": trade.asset,
                    "size": "10.00",
                    "limitPrice": str(trade.price),
                    "orderType": "FAK",
                }
            ),
        )


def counts(leaders: Iterable[str]) -> dict[bytes, int]:
    """Followers by leader, as a command line says them: ``LEADER=FOLLOWERS``."""
    named = (each.partition("=") for each in leaders)
    return {wallet.encode(): int(count) for wallet, _, count in named}


class _Lane(asyncio.Protocol):
    """One warm connection; the next request leaves when the answer to the last is whole."""

    def __init__(self, queue: deque[bytes], idle: list[_Lane]) -> None:
        self._queue = queue
        self._idle = idle
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._idle.append(self)

    def send(self, request: bytes) -> None:
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.lower().find(b"content-length:") + 15
        length = int(self._buffer[at : self._buffer.find(b"\r\n", at)])
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = b""
        if self._queue:
            self.send(self._queue.popleft())
        else:
            self._idle.append(self)


def _request(key: str, body: bytes) -> bytes:
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: bench\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _run(feed: int, far: int, path: Path, leaders: Mapping[bytes, int]) -> None:
    loop = asyncio.get_running_loop()
    queue: deque[bytes] = deque()
    idle: list[_Lane] = []
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Lane(queue, idle), "127.0.0.1", far)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        async with connect(f"ws://127.0.0.1:{feed}", compression=None, ping_interval=None) as ws:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            while True:
                data = await ws.recv(decode=False)
                found = read_frame(data, leaders)
                if found is None:
                    continue
                requests = [_request(key, body) for key, body in orders(*found)]
                os.write(handle, b"".join(requests))
                os.fsync(handle)
                for request in requests:
                    if idle:
                        idle.pop().send(request)
                    else:
                        queue.append(request)
    finally:
        os.close(handle)


def main(arguments: list[str]) -> None:
    """Run until killed."""
    feed, far, path, *leaders = arguments
    uvloop.run(_run(int(feed), int(far), Path(path), counts(leaders)))


if __name__ == "__main__":
    main(sys.argv[1:])
