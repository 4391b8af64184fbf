"""The activity feed: frames of leaders when told, other wallets' frames at a steady rate."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

_TICK_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An asset that is traded; the price is one at which a follower can buy."""

    asset_id: str
    condition_id: str
    price: str
    title: str


def frame(leader: str, asset: Asset, *, kind: str = "trades") -> bytes:
    """One row of a new transaction, as the venue sends it."""
    now_ms = time.time_ns() // 1_000_000
    return msgspec.json.encode(
        {
            "connection_id": "bench",
            "topic": "activity",
            "type": kind,
            "timestamp": now_ms,
            "payload": {
                "asset": asset.asset_id,
                "conditionId": asset.condition_id,
                "outcome": "Yes",
                "outcomeIndex": 0,
                "price": msgspec.Raw(asset.price.encode()),
                "proxyWallet": leader,
                "side": "BUY",
                "size": 100,
                "timestamp": now_ms // 1000,
                "title": asset.title,
                "transactionHash": "0x" + secrets.token_hex(32),
            },
        }
    )


def transaction(of: bytes) -> str:
    """The transaction that a frame is about."""
    found: str = msgspec.json.decode(of)["payload"]["transactionHash"]
    return found


class Feed:
    """Everybody who is connected gets every frame."""

    def __init__(self) -> None:
        self.port = 0
        self.noise = 0
        self._readers: set[ServerConnection] = set()
        self._strangers: list[bytes] = []

    @property
    def readers(self) -> int:
        """Return how many are connected."""
        return len(self._readers)

    @property
    def transports(self) -> list[asyncio.Transport]:
        """Of those who are connected, to write frames that are framed already."""
        return [reader.transport for reader in self._readers]

    async def connected(self, readers: int, seconds: float) -> None:
        """Wait until so many are connected. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                if self.readers >= readers:
                    return
                await asyncio.sleep(_TICK_SECONDS)

    async def send(self, frames: Sequence[bytes]) -> int:
        """Send frames to everybody; the monotonic nanoseconds at which the first left."""
        started = time.monotonic_ns()
        for each in frames:
            text = each.decode()
            for reader in tuple(self._readers):
                try:
                    await reader.send(text)
                except ConnectionClosed:
                    self._readers.discard(reader)
        return started

    async def make_noise(self, asset: Asset) -> None:
        """Other wallets' frames at the present rate, for ever."""
        self._strangers = [frame("0x" + secrets.token_hex(20), asset) for _ in range(500)]
        turn, owed, before = 0, 0.0, time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            owed = min(owed + (now - before) * self.noise, self.noise)
            before = now
            batch = [self._strangers[(turn + i) % 500] for i in range(int(owed))]
            turn, owed = turn + len(batch), owed - len(batch)
            if batch:
                await self.send(batch)

    async def handle(self, connection: ServerConnection) -> None:
        """One reader, until it leaves."""
        self._readers.add(connection)
        try:
            async for _ in connection:
                pass
        except ConnectionClosed:
            pass
        finally:
            self._readers.discard(connection)


@asynccontextmanager
async def serving() -> AsyncIterator[Feed]:
    """A feed on a port of its own."""
    feed = Feed()
    async with serve(feed.handle, "127.0.0.1", 0, compression=None) as server:
        feed.port = next(iter(server.sockets)).getsockname()[1]
        yield feed
