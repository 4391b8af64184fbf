"""Connections to the CLOB market channel, a shard of the watched assets on each.

Assets come and go in place. A change is taken only from the connection that owns its asset: two
connections may both speak of a market, and their words may overtake each other.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from itertools import groupby

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from services.bookfeed import metrics
from services.bookfeed.core.tracking import Change
from services.bookfeed.core.watching import Interest, plan
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.settings import Settings
from tradingtools.adapters import clock
from tradingtools.adapters.polymarket.market_channel import (
    BookMessage,
    ChangeMessage,
    Message,
    MessageError,
    ResolvedMessage,
    TickMessage,
    decode_message,
)
from tradingtools.adapters.polymarket.socket import CLOSED, open_socket
from tradingtools.domain.money import MICROS
from tradingtools.v1 import bookfeed_service_pb2 as pb

_PING_SECONDS = 5.0
_POLL_SECONDS = 0.25
_BACKOFF_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
_PONGS = (b"PONG", b"pong", b"")
_log = structlog.get_logger("bookfeed")


class _Shard:
    def __init__(self) -> None:
        self.assets: set[str] = set()
        self.heard_ms: int | None = None
        self.filled = asyncio.Event()
        self.socket: ClientConnection | None = None


class Sockets:
    """Keeps the watched assets subscribed, and puts what is heard into the hub."""

    def __init__(self, settings: Settings, hub: Hub, fetcher: Fetcher, interest: Interest) -> None:
        self._settings = settings
        self._hub = hub
        self._fetcher = fetcher
        self._interest = interest
        self._shards: list[_Shard] = []
        self._owner: dict[str, _Shard] = {}
        self._poked = asyncio.Event()
        hub.heard = self._heard

    def poke(self) -> None:
        """What is wanted has changed."""
        self._poked.set()

    async def run(self) -> None:
        """Follow what is wanted, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._poked.clear()
                await self._follow(group)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._poked.wait()

    def _heard(self, asset_id: str) -> int | None:
        owner = self._owner.get(asset_id)
        return owner.heard_ms if owner else None

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        wanted = self._interest.wanted(now_ms())
        held = [shard.assets for shard in self._shards]
        for move in plan(held, wanted, self._settings.shard):
            if move.shard == len(self._shards):
                self._shards.append(_Shard())
                group.create_task(self._connect_forever(self._shards[-1]))
            shard = self._shards[move.shard]
            for asset_id in move.unsubscribe:
                shard.assets.discard(asset_id)
                self._owner.pop(asset_id, None)
                self._hub.drop(asset_id)
            for asset_id in move.subscribe:
                shard.assets.add(asset_id)
                self._owner[asset_id] = shard
                self._hub.track(asset_id)
            if shard.assets:
                shard.filled.set()
            else:
                shard.filled.clear()
            await self._tell(shard, "unsubscribe", move.unsubscribe)
            await self._tell(shard, "subscribe", move.subscribe)
        for asset_id in self._hub.tracked.keys() - wanted - self._fetcher.busy:
            self._hub.drop(asset_id)

    async def _tell(self, shard: _Shard, operation: str, assets: tuple[str, ...]) -> None:
        if shard.socket is None or not assets:
            return
        with suppress(*CLOSED):  # the next connection subscribes to all of the shard
            await shard.socket.send(_encoded({"assets_ids": assets, "operation": operation}))

    async def _connect_forever(self, shard: _Shard) -> None:
        failures = 0
        while True:
            await shard.filled.wait()
            end, heard = await self._connect(shard)
            shard.heard_ms = None
            for asset_id in shard.assets:
                tracked = self._hub.tracked.get(asset_id)
                if tracked is not None:
                    tracked.disconnected()
            self._hub.notice_statuses()
            metrics.RECONNECTS.add(1, {"end": end})
            _log.info("market connection ended", end=end, assets=len(shard.assets))
            failures = 0 if heard else failures + 1
            pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
            await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311

    async def _connect(self, shard: _Shard) -> tuple[str, bool]:
        heard = False
        silence_s = self._settings.stale_ms / 1000
        try:
            async with open_socket(
                self._settings.clob_ws_url,
                ping="PING",
                ping_seconds=min(_PING_SECONDS, silence_s / 3),
                max_bytes=self._settings.frame_max_bytes,
            ) as socket:
                subscribed = set(shard.assets)
                await socket.send(
                    _encoded(
                        {
                            "assets_ids": sorted(subscribed),
                            "type": "market",
                            "custom_feature_enabled": True,
                        }
                    )
                )
                shard.socket = socket
                # While the first message was on its way out, the shard may have grown.
                await self._tell(shard, "subscribe", tuple(sorted(shard.assets - subscribed)))
                watching = asyncio.create_task(self._watch(shard, socket, silence_s))
                try:
                    while True:
                        frame = await socket.recv(decode=False)
                        shard.heard_ms = now_ms()
                        if frame not in _PONGS:
                            heard = True
                            self._take(shard, frame)
                finally:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching
        except CLOSED as error:
            return type(error).__name__, heard
        finally:
            shard.socket = None

    async def _watch(self, shard: _Shard, socket: ClientConnection, silence_s: float) -> None:
        began = now_ms()
        while True:
            await asyncio.sleep(silence_s / 4)
            if now_ms() - (shard.heard_ms or began) >= silence_s * 1000:
                _log.warning("market connection is silent", assets=len(shard.assets))
                await socket.close()
                return

    def _take(self, shard: _Shard, frame: bytes) -> None:
        received_ns = clock.now_ns()
        try:
            messages = decode_message(frame)
        except MessageError as error:
            self._refuse(shard, frame, error)
            return
        for message in messages:
            self._apply(shard, message, received_ns)

    def _refuse(self, shard: _Shard, frame: bytes, error: MessageError) -> None:
        metrics.REJECTS.add(1)
        _log.warning("frame refused", error=str(error)[:200], bytes=len(frame))
        # It may have been a change, so whatever it names is in doubt until REST has been asked.
        for asset_id in shard.assets:
            if asset_id.encode() in frame and asset_id in self._hub.tracked:
                self._hub.tracked[asset_id].doubtful = True

    def _apply(self, shard: _Shard, message: Message, received_ns: int) -> None:
        metrics.MESSAGES.add(1, {"kind": type(message).__name__})
        if isinstance(message, ChangeMessage):
            self._changes(shard, message, received_ns)
        elif isinstance(message, BookMessage):
            self._book(shard, message, received_ns)
        elif isinstance(message, TickMessage):
            self._update(message.asset_id, tick_micros=message.tick_micros)
        else:
            self._resolved(message)

    def _changes(self, shard: _Shard, message: ChangeMessage, received_ns: int) -> None:
        ordered = sorted(message.changes, key=lambda change: change.asset_id)
        for asset_id, changes in groupby(ordered, key=lambda change: change.asset_id):
            tracked = self._hub.tracked.get(asset_id)
            if tracked is None or asset_id not in shard.assets:
                continue
            tracked.changes(
                [
                    Change(c.is_bid, c.price_micros, c.size_micros, c.best_bid, c.best_ask)
                    for c in changes
                ],
                message.book_ms,
                received_ns,
            )
            self._hub.changed(asset_id)

    def _book(self, shard: _Shard, message: BookMessage, received_ns: int) -> None:
        asset_id = message.asset_id
        tracked = self._hub.tracked.get(asset_id)
        if tracked is None or asset_id not in shard.assets:
            return
        tracked.snapshot(message.bids, message.asks, message.book_ms, received_ns)
        if message.tick_micros is not None:
            self._update(asset_id, tick_micros=message.tick_micros)
        self._hub.changed(asset_id)

    def _resolved(self, message: ResolvedMessage) -> None:
        named = {*message.asset_ids, *self._hub.markets_of(message.condition_id)}
        for asset_id in named:
            if message.winner is None:
                # Nobody won alone: Gamma says what each share pays.
                self._update(asset_id, closed=True)
                self._fetcher.refresh_soon(asset_id)
            else:
                payout = MICROS if asset_id == message.winner else 0
                self._update(asset_id, closed=True, payout_micros=payout)

    def _update(self, asset_id: str, **changes: int | bool) -> None:
        market = self._hub.market(asset_id)
        if market is None:
            return  # the fetch that is under way brings it
        updated = pb.MarketInfo()
        updated.CopyFrom(market)
        for name, value in changes.items():
            setattr(updated, name, value)
        self._hub.set_market(asset_id, updated)


def _encoded(body: dict[str, object]) -> str:
    return msgspec.json.encode(body).decode()
