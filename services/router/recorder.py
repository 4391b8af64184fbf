"""Record judgements beside the copies, so that any of them can be repeated later.

No copy waits for it: what was judged is noted by reference, and encoded one by one a few
milliseconds later, when its orders are on their way; a thread waits for the disk. A kill -9 loses
what was not written yet, and a replay names the claims. What cannot be written is reported once and
costs no copy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import structlog

from services.router.core.judgement import FORMAT, Encoder, Header, Inputs
from services.router.settings import Settings
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.runtime import instruments
from tradingtools.storage import recordings
from tradingtools.storage.postgres.journal import Claim
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.recordings import RecordingWriter

_log = structlog.get_logger("router.recorder")
_LATER_SECONDS = 0.005
"""By then a claim is committed and handed on."""
_AGAIN_MS = 60_000
_MAX = 100_000
"""Judgements of one file: what is kept of subscriptions for them has a bound."""
_WAITING = 1_000
"""Judgements that wait, at most; more are encoded at once: memory has a bound, too."""
_recorded = instruments.counter(
    "tradingtools.router",
    "judgements_recorded",
    "written to the recording, or not",
    instruments.each(written=(True, False)),
)


class Recorder:
    """Writes the judgements of one router.

    Args:
        directory: of the recordings.
        lease: of the partition.
        settings: of the process.
    """

    def __init__(self, directory: Path, lease: Lease, settings: Settings) -> None:
        self._directory = directory
        self._lease = lease
        self._settings = settings
        self._encoder = Encoder()
        self._waiting: deque[tuple[LeaderTrade, Inputs, Claim]] = deque()
        self._writer: RecordingWriter | None = None
        self._day: date | None = None
        self._count = 0
        self._broken_ms: int | None = None

    def note(self, trade: LeaderTrade, inputs: Inputs, claim: Claim) -> None:
        """Note a judgement, which is written soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_LATER_SECONDS, self._next)
        self._waiting.append((trade, inputs, claim))
        if len(self._waiting) > _WAITING:
            self._write(*self._waiting.popleft())

    def _next(self) -> None:
        """Write the oldest that waits; others have their turn before the next one."""
        if self._waiting:
            self._write(*self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def _write(self, trade: LeaderTrade, inputs: Inputs, claim: Claim) -> None:
        now_ms = inputs.context.now_ms
        if self._broken_ms is not None and now_ms < self._broken_ms + _AGAIN_MS:
            _recorded.add(1, {"written": False})
            return
        try:
            writer = self._open(now_ms)
            writer.append(self._encoder.records(trade, inputs, claim.record_key, claim.routed_ns))
        except Exception as error:  # noqa: BLE001 - no copy fails for its record
            self._give_up(now_ms, error)
            return
        self._count += 1
        self._broken_ms = None
        _recorded.add(1, {"written": True})

    def _open(self, now_ms: int) -> RecordingWriter:
        day = recordings.day_of(now_ms)
        if self._writer is not None and day == self._day and self._count < _MAX:
            return self._writer
        self._shut()
        tidy = None if day == self._day else partial(self._tidy, day)
        name = f"router-{self._lease.partition}-{self._lease.epoch:09d}"
        self._writer = RecordingWriter(recordings.new_file(self._directory, day, name), tidy)
        self._day, self._count = day, 0
        self._writer.append([self._encoder.header(self._header())])
        return self._writer

    def _tidy(self, day: date) -> None:
        """Delete what is too old, and compress what is left of earlier days."""
        oldest = day - timedelta(days=self._settings.recording_days)
        try:
            recordings.drop_before(self._directory, oldest)
            recordings.pack_before(self._directory, day)
        except OSError as error:
            _log.warning("recordings of earlier days stay as they are", error=str(error))

    def _header(self) -> Header:
        settings = self._settings
        return Header(
            format=FORMAT,
            partition=self._lease.partition,
            epoch=self._lease.epoch,
            entry_ttl_ms=settings.entry_ttl_ms,
            entry_least_ms=settings.entry_least_ms,
            exit_ttl_ms=settings.exit_ttl_ms,
            close_ms=settings.trade_close_ms,
            holding_age_ms=settings.holding_age_ms,
            exit_floor_ppm=settings.shared.exit_floor_ppm,
        )

    def _give_up(self, now_ms: int, error: Exception) -> None:
        """Record nothing for a while; what was written can be read."""
        if self._broken_ms is None:
            _log.warning("decisions are not recorded", error=str(error))
        self._broken_ms = now_ms
        _recorded.add(1, {"written": False})
        self._shut()

    def close(self) -> None:
        """Write what waits, and close the file."""
        while self._waiting:
            self._write(*self._waiting.popleft())
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _shut(self) -> None:
        if self._writer is not None:
            self._writer.end()
        self._writer = None
