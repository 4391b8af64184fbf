"""The frames a second that one ingest filters: through its sockets, few of them of leaders.

A real process reads from a feed that writes as fast as it is read. The end is seen from outside:
the last frame's trade arrives on `StreamLeaderTrades`, and nothing is skipped on its way there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import psycopg

from bench import alone, feed, system
from bench.core.sheet import Figure
from bench.core.wire import text_frame
from bench.feed import Asset, Feed
from bench.system import SQL, BenchError
from tradingtools.rpc import transport
from tradingtools.v1 import ingest_service_pb2 as pb
from tradingtools.v1 import ingest_service_pb2_grpc as rpc

_GOAL = 20_000
_LEADERS = 100
_CHUNK = 1_000
"""Frames of which the last is a leader's."""
_CHUNKS = 100
_AHEAD_BYTES = 1 << 20
_LEADER = f"0x{1:040x}"
_SOCKETS = 2
_WARM_UP = 2
_PAUSE_SECONDS = 0.001
_SEEN_SECONDS = 120.0


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own. Raises BenchError."""
    chunks = max(5, int(_CHUNKS * factor))
    with alone.stores() as stores, system.venue() as venue:
        async with feed.serving() as source:
            asset, _ = await asyncio.to_thread(system.tradable, venue.at)
            await asyncio.to_thread(_follow, stores.database_url)
            say(f"starting ingest with {_LEADERS} leaders")
            settings = {
                "RTDS_URL": f"ws://127.0.0.1:{source.port}",
                "DATA_API_URL": f"http://{venue.at}/data",
                "SOCKETS": str(_SOCKETS),
            }
            async with (
                alone.process("ingest", stores, settings) as ingest,
                transport.channel(ingest.target) as channel,
            ):
                reported = _ReportedTrades(rpc.IngestServiceStub(channel))
                reading = asyncio.create_task(reported.read())
                try:
                    await source.connected(_SOCKETS, _SEEN_SECONDS)
                    await _flood(source, asset, reported, _WARM_UP)
                    say(f"{chunks * _CHUNK} frames to each of {source.readers} sockets")
                    used, started = ingest.cpu_seconds, time.monotonic()
                    frames = await _flood(source, asset, reported, chunks)
                    seconds = time.monotonic() - started
                    used = ingest.cpu_seconds - used
                finally:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
    under = f"{frames} frames on {_SOCKETS} sockets, one of {_CHUNK} a leader's"
    return [
        Figure(
            what="frames filtered by one ingest", under=under, value=frames / used,
            unit="a second of one core", goal=_GOAL, at_least=True,
        ),
        Figure(
            what="frames filtered by one ingest, feed on another core", under=under,
            value=frames / seconds, unit="a second",
        ),
    ]  # fmt: skip


def _follow(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for number in range(_LEADERS):
            desired = {"leader": f"0x{number + 1:040x}", "followers": 1}
            connection.execute(SQL["followers"], desired)


class _ReportedTrades:
    """The transactions that ingest has told of."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._seen: set[str] = set()
        self._more = asyncio.Event()

    async def read(self) -> None:
        """For ever."""
        async for response in self._stub.StreamLeaderTrades(pb.StreamLeaderTradesRequest()):
            self._seen.update(event.leader_tx for event in response.trades)
            self._more.set()

    async def until(self, leader_tx: str) -> None:
        """Return when it has told of this one. Raises BenchError."""
        try:
            async with asyncio.timeout(_SEEN_SECONDS):
                while leader_tx not in self._seen:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise BenchError(f"a trade was not told in {_SEEN_SECONDS:.0f} s") from None


async def _flood(source: Feed, asset: Asset, reported: _ReportedTrades, chunks: int) -> int:
    """Write chunks to every socket as they are read; how many frames that were."""
    strangers = b"".join(
        text_frame(feed.frame("0x" + secrets.token_hex(20), asset)) for _ in range(_CHUNK - 1)
    )
    sockets = source.transports
    last = {}
    for _ in range(chunks):
        for number, socket in enumerate(sockets):
            # A transaction of each socket's own: the other's would not be told twice.
            frame = feed.frame(_LEADER, asset)
            last[number] = feed.transaction(frame)
            await _room(socket)
            socket.write(strangers + text_frame(frame))
    for leader_tx in last.values():
        await reported.until(leader_tx)
    return chunks * _CHUNK * len(sockets)


async def _room(socket: asyncio.WriteTransport) -> None:
    while True:
        if socket.get_write_buffer_size() <= _AHEAD_BYTES:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
