"""Read the activity feed over several sockets; hand frames to the merger, gaps to catch-up.

A socket of this feed can stay open and answer pings without bringing anything, or bring what nobody
can read, so it is watched for trades, not for life; and each is renewed now and then, never all at
once.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from services.ingest import metrics
from services.ingest.catch_up import CatchUp
from services.ingest.core.announcements import Announcements
from services.ingest.core.merge import Merger
from services.ingest.core.pacing import backoff_seconds
from services.ingest.leaders import Leaders
from services.ingest.publisher import Publisher
from services.ingest.rejects import Rejects
from services.ingest.settings import Settings
from tradingtools import clock
from tradingtools.runtime import telemetry
from tradingtools.tasks import run_in_background
from tradingtools.venues.polymarket.socket import CLOSED, open_socket, was_too_big
from tradingtools.venues.polymarket.trade_frames import Ignored, read_frame
from tradingtools.venues.polymarket.trade_rows import TOPIC, TYPES, decode_frame
from tradingtools.venues.polymarket.unreadable import Answers
from tradingtools.venues.ports import RowError, TradeRow

_PING_SECONDS = 5.0
_WAIT_SECONDS = 2.0
_WAITING_MAX = 10_000
_STRANGERS = "rtds of strangers"
_SUBSCRIBE = msgspec.json.encode(
    {
        "action": "subscribe",
        "subscriptions": [{"topic": TOPIC, "type": kind} for kind in TYPES],
    }
).decode()
_log = structlog.get_logger("ingest")


@dataclass(slots=True)
class _Connection:
    number: int
    data_at: float
    listens_at: float = float("-inf")
    """When the next of strangers' trades is read."""
    had_data: bool = False
    end: str = "closed"


class Feed:
    """Reads the feed; `run` keeps every socket."""

    def __init__(
        self,
        settings: Settings,
        leaders: Leaders,
        merger: Merger,
        publisher: Publisher,
        rejects: Rejects,
        catch_up: CatchUp,
        answers: Answers,
        announcements: Announcements,
    ) -> None:
        self._settings = settings
        self._leaders = leaders
        self._merger = merger
        self._publisher = publisher
        self._rejects = rejects
        self._catch_up = catch_up
        self._answers = answers
        self._announcements = announcements
        self._spoke_at = clock.monotonic()
        # So often that no setting takes a feed that speaks for a silent one.
        silent_ms = min(settings.silence_ms, settings.polling_after_ms)
        self._listen_seconds = min(silent_ms / 4000, 1.0)
        self._connections = 0
        self._waiting: list[tuple[int, str, TradeRow, int]] | None = []
        self._open = 0

    @property
    def connected(self) -> bool:
        """Return whether a socket is open and the sockets are not silent."""
        return self._open > 0 and not self.silent()

    def silent(self) -> bool:
        """Return whether the sockets are silent for so long that leaders have to be polled."""
        return clock.monotonic() - self._spoke_at >= self._settings.polling_after_ms / 1000

    async def run(self) -> None:
        """Keep all sockets connected, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._begin())
            for index in range(self._settings.sockets):
                group.create_task(self._keep(index))

    async def _begin(self) -> None:
        # A leader's sell without his holding reads as "sold everything": so right after a start
        # rows wait, for a moment, until it is known what leaders hold.
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._catch_up.surveyed.wait()
        waiting, self._waiting = self._waiting or [], None
        for number, kind, row, received_ns in waiting:
            self._row(number, kind, row, received_ns)

    async def _keep(self, index: int) -> None:
        life_s = self._settings.renew_ms / 1000
        first_life_s = life_s * (index + 1) / self._settings.sockets
        failures = 0
        after_gap = False
        while True:
            self._connections += 1
            connection = _Connection(self._connections, clock.monotonic())
            await self._connect(connection, first_life_s, after_gap=after_gap)
            first_life_s = life_s
            metrics.RECONNECTS.add(1, {"end": connection.end})
            if connection.end == "silent":
                metrics.SILENCE.add(1)
            after_gap = connection.end != "renewed" or self._settings.sockets == 1
            if after_gap:
                self._catch_up.gap()
            failures = 0 if connection.had_data else failures + 1
            _log.info("feed connection ended", socket=index, end=connection.end)
            await asyncio.sleep(backoff_seconds(failures, random.random()))  # noqa: S311

    async def _connect(self, connection: _Connection, life_s: float, *, after_gap: bool) -> None:
        try:
            async with open_socket(
                self._settings.rtds_url,
                ping="ping",
                ping_seconds=_PING_SECONDS,
                max_bytes=self._settings.frame_max_bytes,
            ) as socket:
                await socket.send(_SUBSCRIBE)
                if after_gap:
                    # Once more: what was traded since it was noted may have been told to nobody.
                    self._catch_up.gap()
                async with run_in_background(self._watch(socket, connection, life_s)):
                    self._open += 1
                    try:
                        while True:
                            self._take(connection, await socket.recv(decode=False))
                    finally:
                        self._open -= 1
        except CLOSED as error:
            if was_too_big(error):
                connection.end = "oversized"
                # Its bytes were never read; what is known is that they were too many.
                self._rejects.note(
                    "rtds", "oversized", b"", total=self._settings.frame_max_bytes + 1
                )

    async def _watch(
        self, socket: ClientConnection, connection: _Connection, life_s: float
    ) -> None:
        silence_s = self._settings.silence_ms / 1000
        connection.data_at = started = clock.monotonic()
        while True:
            await asyncio.sleep(min(silence_s / 4, 1.0))
            now = clock.monotonic()
            if now - connection.data_at >= silence_s:
                connection.end = "silent"
            elif now - started >= life_s:
                connection.end = "renewed"
            else:
                continue
            await socket.close()
            return

    def _take(self, connection: _Connection, frame: bytes) -> None:
        received_ns = clock.now_ns()
        try:
            found = read_frame(frame, self._leaders.wallets)
        except RowError as error:
            self._refused("rtds", error, frame)
            return
        if found is Ignored.IDLE:
            return
        if isinstance(found, Ignored):
            metrics.FRAMES.add(1, {"kind": found.value})
            self._listen(connection, frame)
            return
        metrics.FRAMES.add(1, {"kind": "leader"})
        self._spoke(connection, "rtds")
        if self._waiting is not None and len(self._waiting) < _WAITING_MAX:
            self._waiting.append((connection.number, *found, received_ns))
        else:
            self._row(connection.number, *found, received_ns)

    def _listen(self, connection: _Connection, frame: bytes) -> None:
        """Read one of strangers' trades now and then: what cannot be read is no sign of life."""
        now = clock.monotonic()
        if now < connection.listens_at:
            return
        connection.listens_at = now + self._listen_seconds
        try:
            decode_frame(frame)
        except RowError as error:
            self._refused(_STRANGERS, error, frame)
        else:
            self._spoke(connection, _STRANGERS)

    def _spoke(self, connection: _Connection, what: str) -> None:
        connection.data_at = self._spoke_at = clock.monotonic()
        connection.had_data = True
        self._answers.frame(what, read=True)

    def _refused(self, what: str, error: RowError, frame: bytes) -> None:
        metrics.FRAMES.add(1, {"kind": "rejected"})
        self._rejects.note("rtds", error.reason, frame)
        self._answers.frame(what, read=False, why=str(error))

    def _row(self, number: int, kind: str, row: TradeRow, received_ns: int) -> None:
        metrics.ROWS.add(1, {"source": "FEED"})
        metrics.LAG.observe_ns(received_ns - row.traded_ms * 1_000_000)
        known = self._merger.traceparent(row.leader, row.tx)
        with telemetry.span(
            "ingest.frame", known, leader=row.leader, leader_tx=row.tx
        ) as traceparent:
            fact = self._merger.feed(row, (number, kind), received_ns // 1_000_000, traceparent)
            if fact is None:
                metrics.DUPLICATES.add(1)
            else:
                self._announcements.note_feed(fact)
                self._publisher.publish((fact,), received_ns)
