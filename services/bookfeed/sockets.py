"""Connections to the CLOB market channel: one for each shard of the watched assets, and a spare.

Assets come and go in place. A shard that loses its connection goes on over the spare at once, which
is open already; the lost connection, made anew, is the next spare.

A connection that answers pings lives, but may bring nothing for hours. One that is quiet is
questioned: REST is asked for a few of its books. Once anything was missed it is given up, with all
that it said.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import suppress

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from services.bookfeed import metrics
from services.bookfeed.core.book_state import TAKEOVER_MS
from services.bookfeed.core.snapshot_audit import Watched, is_quiet, witnesses
from services.bookfeed.core.watchlist import Interest, plan
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.frames import Frames
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.settings import Settings
from tradingtools.tasks import run_in_background
from tradingtools.venues.polymarket.socket import CLOSED, open_socket
from tradingtools.venues.polymarket.unreadable import Answers

_PING_SECONDS = 5.0
_POLL_SECONDS = 0.25
_BACKOFF_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
_PONGS = (b"PONG", b"pong", b"")
_log = structlog.get_logger("bookfeed")


class _Shard:
    def __init__(self) -> None:
        self.assets: set[str] = set()
        self.link: _Link | None = None


class _Link:
    """One connection while it is open. The spare one has no shard."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.last_message_ms = now_ms()
        """When anything came, answers to pings included."""
        self.moved_ms = 0
        """When it reported one of its books."""
        self.queried_ms = 0
        """When it got its shard, or was questioned last."""
        self.shard: _Shard | None = None

    async def say(self, body: dict[str, object]) -> None:
        """Send; a connection that is gone already is found out by its reader."""
        with suppress(*CLOSED):
            await self.socket.send(msgspec.json.encode(body).decode())


class Sockets:
    """Keeps the watched assets subscribed, and puts what is received into the hub."""

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        fetcher: Fetcher,
        interest: Interest,
        answers: Answers | None = None,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._fetcher = fetcher
        self._interest = interest
        self._frames = Frames(hub, fetcher, answers)
        self._shards: list[_Shard] = []
        self._owner: dict[str, _Shard] = {}
        self._spare: deque[_Link] = deque()
        self._poked = asyncio.Event()
        hub.last_message = self._last_message
        hub.missed = self._missed

    @property
    def connected(self) -> bool:
        """Return whether each shard that has assets has a connection, and there is one at all."""
        links = [shard.link for shard in self._shards if shard.assets or shard.link]
        return None not in links and bool(links or self._spare)

    def wake(self) -> None:
        """Wake up: what is wanted has changed."""
        self._poked.set()

    async def run(self) -> None:
        """Follow what is wanted, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connect_forever())
            while True:
                self._poked.clear()
                await self._follow(group)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._poked.wait()

    def _last_message(self, asset_id: str) -> int | None:
        owner = self._owner.get(asset_id)
        return owner.link.last_message_ms if owner and owner.link else None

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        desired = self._interest.desired(now_ms())
        held = [shard.assets for shard in self._shards]
        for move in plan(held, desired, self._settings.shard):
            if move.shard == len(self._shards):
                self._shards.append(_Shard())
                group.create_task(self._connect_forever())
            shard = self._shards[move.shard]
            for asset_id in move.unsubscribe:
                shard.assets.discard(asset_id)
                self._owner.pop(asset_id, None)
                self._hub.drop(asset_id)
            for asset_id in move.subscribe:
                shard.assets.add(asset_id)
                self._owner[asset_id] = shard
                self._hub.track(asset_id)
            await self._subscribe(shard, "unsubscribe", move.unsubscribe)
            await self._subscribe(shard, "subscribe", move.subscribe)
        await self._serve()
        for asset_id in self._hub.tracked.keys() - desired - self._fetcher.busy:
            self._hub.drop(asset_id)

    async def _subscribe(self, shard: _Shard, operation: str, assets: tuple[str, ...]) -> None:
        if shard.link is not None and assets:
            await shard.link.say({"assets_ids": assets, "operation": operation})

    async def _serve(self) -> None:
        """Give what is spare to the shards that have assets and no connection."""
        for shard in self._shards:
            if shard.assets and shard.link is None and self._spare:
                link = shard.link = self._spare.popleft()
                link.shard = shard
                link.queried_ms = now_ms()
                await link.say(
                    {
                        "assets_ids": sorted(shard.assets),
                        "type": "market",
                        "custom_feature_enabled": True,
                    }
                )

    async def _connect_forever(self) -> None:
        failures = 0
        while True:
            end, received = await self._connect()
            failures = 0 if received else failures + 1
            pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
            metrics.RECONNECTS.add(1, {"end": end})
            await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311

    async def _connect(self) -> tuple[str, bool]:
        """Be the spare, then a shard's connection, until it ends; how, and whether it said much."""
        silence_s = self._settings.stale_ms / 1000
        link, received = None, False
        try:
            async with open_socket(
                self._settings.clob_ws_url,
                ping="PING",
                ping_seconds=min(_PING_SECONDS, silence_s / 3),
                max_bytes=self._settings.frame_max_bytes,
            ) as socket:
                link = _Link(socket)
                self._spare.append(link)
                self.wake()
                async with run_in_background(self._watch(link)):
                    while True:
                        frame = await socket.recv(decode=False)
                        link.last_message_ms = now_ms()
                        if frame not in _PONGS and link.shard is not None:
                            received = True
                            if self._frames.take(link.shard.assets, frame):
                                link.moved_ms = link.last_message_ms
        except CLOSED as error:
            return type(error).__name__, received
        finally:
            if link is not None:
                self._lost(link)

    def _lost(self, link: _Link) -> None:
        if link in self._spare:
            self._spare.remove(link)
        if link.shard is None:
            return
        link.shard.link = None
        for asset_id in link.shard.assets:
            tracked = self._hub.tracked.get(asset_id)
            if tracked is not None:
                tracked.disconnected()
        self._hub.notice_statuses()
        _log.info("market connection ended", assets=len(link.shard.assets))
        self.wake()

    async def _watch(self, link: _Link) -> None:
        """Close a connection that is silent, and question one that tells of no book."""
        silence_ms, quiet_ms = self._settings.stale_ms, self._settings.quiet_ms
        while True:
            await asyncio.sleep(min(silence_ms, quiet_ms) / 10_000)
            now = now_ms()
            if now - link.last_message_ms >= silence_ms:
                _log.warning("market connection is silent")
                await link.socket.close()
                return
            if link.shard is not None and is_quiet(
                now, moved_ms=link.moved_ms, queried_ms=link.queried_ms, quiet_ms=quiet_ms
            ):
                self._question(link, link.shard, now)

    def _question(self, link: _Link, shard: _Shard, now: int) -> None:
        link.queried_ms = now
        lively = {a: t for a in shard.assets if (t := self._hub.tracked.get(a)) and self._open(a)}
        if lively and not link.moved_ms:
            self._give_up(shard)
            return
        able = [
            Watched(asset_id, tracked.received_ns, tracked.audited_ms)
            for asset_id, tracked in lively.items()
            if not tracked.misses
        ]
        for asset_id in witnesses(able):
            lively[asset_id].audit_due_ms = now

    def _open(self, asset_id: str) -> bool:
        market = self._hub.market(asset_id)
        return market is not None and not market.closed

    def _missed(self, asset_id: str) -> None:
        owner = self._owner.get(asset_id)
        if owner is not None:
            self._give_up(owner)

    def _give_up(self, shard: _Shard) -> None:
        """Believe nothing that its connection said, and go on over another one."""
        _log.warning("market connection keeps things to itself", assets=len(shard.assets))
        earliest_ms = now_ms() + TAKEOVER_MS if self._spare else 0
        for asset_id in shard.assets:
            tracked = self._hub.tracked.get(asset_id)
            if tracked is not None:
                tracked.missed(earliest_ms)
        self._hub.notice_statuses()
        link, shard.link = shard.link, None
        if link is not None:
            link.shard = None
            link.socket.transport.abort()
        self.wake()
