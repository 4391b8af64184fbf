"""Record judgements beside the copies, so that any of them can be repeated later.

A judgement is written while its claim waits for the database, and no copy waits for it. A kill -9
in between loses the record of one claim at most, and a replay names the claim. What cannot be
written is told once and costs no copy.
"""

from __future__ import annotations

import asyncio
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
from tradingtools.storage.recordings import RecordingFile

_log = structlog.get_logger("router.recorder")
_AGAIN_MS = 60_000
_MOST = 100_000
"""Judgements of one file: what is kept of subscriptions for them has a bound."""
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
        self._file: RecordingFile | None = None
        self._day: date | None = None
        self._count = 0
        self._broken_ms: int | None = None

    def note(self, trade: LeaderTrade, inputs: Inputs, claim: Claim) -> None:
        """Write a judgement as soon as the caller waits for something."""
        write = partial(self._write, trade, inputs, claim)
        asyncio.get_running_loop().call_soon(write)

    def _write(self, trade: LeaderTrade, inputs: Inputs, claim: Claim) -> None:
        now_ms = inputs.context.now_ms
        if self._broken_ms is not None and now_ms < self._broken_ms + _AGAIN_MS:
            _recorded.add(1, {"written": False})
            return
        try:
            file = self._open(now_ms)
            file.append(self._encoder.records(trade, inputs, claim.record_key, claim.routed_ns))
        except Exception as error:  # noqa: BLE001 - no copy fails for its record
            self._give_up(now_ms, error)
            return
        self._count += 1
        self._broken_ms = None
        _recorded.add(1, {"written": True})

    def _open(self, now_ms: int) -> RecordingFile:
        day = recordings.day_of(now_ms)
        if self._file is not None and day == self._day and self._count < _MOST:
            return self._file
        self.close()
        oldest = day - timedelta(days=self._settings.recording_days)
        recordings.drop_before(self._directory, oldest)
        name = f"router-{self._lease.partition}-{self._lease.epoch:09d}"
        self._file = RecordingFile(recordings.new_file(self._directory, day, name))
        self._day, self._count = day, 0
        self._file.append([self._encoder.header(self._header())])
        return self._file

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
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None
