"""Count what is refused, and keep a sample of it at a bounded rate, off the hot path."""

from __future__ import annotations

import asyncio

import psycopg
import psycopg_pool
import structlog

from services.ingest import metrics
from services.ingest.core.sequence import Sampling
from services.ingest.store import Rejected, Store
from tradingtools import clock

_SAMPLE_BYTES = 4096
_INTERVAL_MS = 1000
_QUEUED_MAX = 100
_log = structlog.get_logger("ingest")


class Rejects:
    """Takes refused frames; `run` writes the samples."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sampling = Sampling(_INTERVAL_MS)
        self._queue: asyncio.Queue[Rejected] = asyncio.Queue(_QUEUED_MAX)

    def note(self, source: str, reason: str, body: bytes, *, total: int | None = None) -> None:
        """Count one; at most one a second and reason is kept."""
        metrics.REJECTS.add(1, {"reason": reason})
        if self._queue.full() or not self._sampling.allow(reason, clock.monotonic_ns() // 10**6):
            return
        self._queue.put_nowait(
            Rejected(
                source=source,
                reason=reason,
                sample=body[:_SAMPLE_BYTES],
                bytes_total=len(body) if total is None else total,
            )
        )

    async def run(self) -> None:
        """Write samples for ever; one that cannot be written is lost, and that is said."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._store.reject(batch)
            except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
                _log.warning("samples of refused frames lost", error=str(error))
