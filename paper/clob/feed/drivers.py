"""Tasks that feed the exchange while it serves: a seed, a recording, or the real market."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from paper.clob.core.values import Market
from paper.clob.feed.frames import (
    BookEvent,
    Event,
    Frames,
    LevelEvent,
    ResolvedEvent,
    TickSizeEvent,
    TradeEvent,
)
from paper.clob.feed.generator import Generator
from paper.clob.venue import Venue
from tradingtools.tasks import run_in_background

_log = structlog.get_logger("clob")
_RETRY_S = 1.0
_PING_S = 10.0
_SILENT_S = 30.0


class Feeding:
    """Gives events to the exchange, and tells clients of them."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._exchange = venue.exchange

    def take(self, events: Iterable[Event]) -> None:
        """Take events as of now."""
        now_ms = self._venue.now_ms()
        for event in events:
            state = self._exchange.market(event.condition)
            if state is not None and state.open:
                self._take(event, now_ms)
        self._venue.publish()

    async def seeded(self, generator: Generator, step_ms: int) -> None:
        """Make the market up, a step at a time, for ever."""
        self.take(generator.begin())
        while True:
            await asyncio.sleep(step_ms / 1000)
            self.take(generator.step())

    async def recorded(self, path: Path, listed: dict[str, Market]) -> None:
        """Play a recording at the speed at which it came, then rest. Each line is an object of
        `ts` (arrival, ms) and `frame`."""
        frames, first, started = Frames(listed), None, time.monotonic()
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                first = row["ts"] if first is None else first
                await asyncio.sleep((row["ts"] - first) / 1000 - (time.monotonic() - started))
                self.take(list(frames.read(json.dumps(row["frame"]))))
        await asyncio.Event().wait()

    async def live(self, url: str, listed: dict[str, Market]) -> None:
        """Follow the real market channel, for ever; it is asked again after any break."""
        while True:
            try:
                await self._follow(url, listed)
            except (OSError, WebSocketException, TimeoutError, ValueError) as error:
                _log.warning("the live feed broke", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, url: str, listed: dict[str, Market]) -> None:
        frames = Frames(listed)
        async with connect(url, max_size=1 << 24, compression=None) as socket:

            async def ping() -> None:
                while True:
                    await socket.send("PING")
                    await asyncio.sleep(_PING_S)

            requested = {
                "assets_ids": sorted(listed),
                "type": "market",
                "custom_feature_enabled": True,
            }
            await socket.send(json.dumps(requested))
            async with run_in_background(ping()):
                while True:
                    # Not by asyncio's wait_for: a frame that comes as this is cancelled would
                    # swallow that.
                    async with asyncio.timeout(_SILENT_S):
                        text = await socket.recv()
                    if isinstance(text, str) and text.lstrip().startswith(("{", "[")):
                        self.take(list(frames.read(text)))

    def _take(self, event: Event, now_ms: int) -> None:
        exchange = self._exchange
        match event:
            case BookEvent(condition, bids, asks):
                exchange.snapshot(condition, bids, asks, now_ms)
            case LevelEvent(condition, side, price, size):
                exchange.level(condition, side, price, size, now_ms)
            case TradeEvent(condition, side, price, size):
                exchange.printed(condition, side, price, size, now_ms)
            case TickSizeEvent(condition, tick):
                exchange.change_tick(condition, tick, now_ms)
            case ResolvedEvent(condition, payouts):
                exchange.resolve(condition, payouts, now_ms)
