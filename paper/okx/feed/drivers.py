"""Tasks that feed the exchange while it serves: a seed, a recording, or the real market."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from paper.okx.core.exchange import Exchange
from paper.okx.core.instruments import Instrument
from paper.okx.feed.events import FeedEvent, IndexEvent, take
from paper.okx.feed.frames import CHANNELS, Frames, Gap
from paper.okx.feed.generator import Generator
from paper.okx.publisher import Publisher
from paper.okx.wire.orders import index_of

_log = structlog.get_logger("okx")
_RETRY_S = 1.0
_PING_S = 20.0


class Feeding:
    """Gives events to the exchange and tells clients of them."""

    def __init__(self, exchange: Exchange, publisher: Publisher, now_ms: Callable[[], int]) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._now_ms = now_ms
        self.running = asyncio.Event()
        self.running.set()

    def take(self, events: Iterable[FeedEvent]) -> None:
        """Take events as of now."""
        now_ms = self._now_ms()
        for event in events:
            take(self._exchange, event, now_ms)
            if isinstance(event, IndexEvent):
                self._publisher.index_changed(event.name, now_ms)
        self._exchange.at(now_ms)
        self._publisher.flush(now_ms)

    async def seeded(self, generator: Generator, step_ms: int) -> None:
        """Make the market up, a step at a time, for ever."""
        while True:
            await asyncio.sleep(step_ms / 1000)
            await self.running.wait()
            self.take(generator.step())

    async def recorded(self, path: Path, listed: Mapping[str, Instrument]) -> None:
        """Play a recording at the speed at which it came, then let time pass. Each line is an
        object of `ts` (arrival, ms) and `frame`."""
        frames, first, started = Frames(listed), None, time.monotonic()
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                first = row["ts"] if first is None else first
                await asyncio.sleep((row["ts"] - first) / 1000 - (time.monotonic() - started))
                await self.running.wait()
                self._read(frames, json.dumps(row["frame"]))
        await self.idle()

    async def idle(self) -> None:
        """Let time pass: switches, funding, expiry."""
        while True:
            await asyncio.sleep(0.1)
            self.take(())

    async def live(self, url: str, listed: Mapping[str, Instrument]) -> None:
        """Follow the real market's public socket, for ever; it is asked again after any break."""
        while True:
            try:
                await self._follow(url, listed)
            except (OSError, WebSocketException, TimeoutError, Gap) as error:
                _log.warning("the live feed broke", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, url: str, listed: Mapping[str, Instrument]) -> None:
        frames = Frames(listed)
        async with connect(url, max_size=1 << 22) as socket:
            args = [{"channel": channel, "instId": name} for name in listed for channel in CHANNELS]
            names = sorted({index_of(of) for of in listed.values()})
            args += [{"channel": "index-tickers", "instId": name} for name in names]
            try:
                await socket.send(json.dumps({"op": "subscribe", "args": args}))
                await self._listen(socket, frames)
            finally:
                # Nobody here waits for the far side's part of a farewell.
                socket.transport.abort()

    async def _listen(self, socket: ClientConnection, frames: Frames) -> None:
        while True:
            try:
                text = await _received(socket)
            except TimeoutError:
                await socket.send("ping")
                text = await _received(socket)
            if text != "pong":
                self.take(list(frames.read(text)))

    def _read(self, frames: Frames, text: str) -> None:
        try:
            self.take(list(frames.read(text)))
        except Gap as gap:
            _log.warning("a recording has a gap", instrument=gap.inst_id)


async def _received(socket: ClientConnection) -> str | bytes:
    # Not by asyncio's wait_for: a frame that comes as this is cancelled would swallow that.
    async with asyncio.timeout(_PING_S):
        return await socket.recv()
