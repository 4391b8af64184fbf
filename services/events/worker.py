"""Makes the log: reads what is new below the horizon, derives its events, writes and streams them.

Before it: every process that writes. After it: `server.py`, whose readers follow the tail.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import psycopg
import structlog

from services.events import exits, store
from services.events.core.derive import derive
from services.events.core.horizon import Horizon
from services.events.core.pacing import ReadResult, next_pause
from tradingtools import clock
from tradingtools.domain.event_types import EventType
from tradingtools.runtime import instruments, telemetry
from tradingtools.runtime.event_feed import EventFeed
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("events")
_written = instruments.counter(
    "tradingtools.events", "events_written", "events, by type", instruments.each(type=EventType)
)
_lag = instruments.Histogram(
    "events_lag_seconds", "From a row's writing to its event's being streamed"
)
_NUMBERS = 2_000
"""Of one batch: a log that is made anew holds so much in memory at a time."""
_AWAY_SECONDS = 1.0


class LogWriter:
    """The one writer of the log.

    Args:
        pool: of the deciding database; one connection is enough.
        lease: of the log.
        feed: what readers follow.
        at: up to where the log is made.
        busy_seconds: between a write and the next look.
        idle_seconds: between two looks while nothing does, at the most.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        feed: EventFeed,
        at: store.Position,
        *,
        busy_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._feed = feed
        self._at = at
        self._horizon = Horizon(at.log_number)
        self._busy = busy_seconds
        self._idle = idle_seconds
        # The newest number at each look whose rows are not all in the log, and when it was.
        self._seen: deque[tuple[int, float]] = deque()
        # While something happens the question for the newest number alone is one too many.
        self._busy_now = False

    async def run(self) -> None:
        """Make the log for ever.

        Raises:
            Fenced, Moved: another process makes it.
        """
        pause = self._idle
        while True:
            await asyncio.sleep(pause)
            try:
                found = await self.step()
                pause = next_pause(pause, found, busy=self._busy, idle=self._idle)
            except psycopg.OperationalError as error:
                _log.warning("the log waits for the database", error=str(error))
                pause = _AWAY_SECONDS

    def waited_ms(self) -> int:
        """Return how long the oldest row that was seen is not in the log; 0: all are."""
        return round((clock.monotonic() - self._seen[0][1]) * 1000) if self._seen else 0

    async def step(self) -> ReadResult:
        """Read once and write what is complete."""
        if not self._busy_now and await store.newest_number(self._pool) == self._at.log_number:
            return ReadResult.NOTHING
        seen = await store.poll(self._pool)
        complete = self._horizon.see(seen)
        before = self._at.log_number
        self._busy_now = before < seen.newest
        new = self._busy_now and (not self._seen or self._seen[-1][0] < seen.newest)
        if new:
            self._seen.append((seen.newest, clock.monotonic()))
        while self._at.log_number < complete:
            await self._write(min(complete, self._at.log_number + _NUMBERS))
        if before < self._at.log_number:
            return ReadResult.COMPLETE
        return ReadResult.INCOMPLETE if new else ReadResult.NOTHING

    async def _write(self, to: int) -> None:
        rows = await store.sources(self._pool, self._at.log_number, to)
        events = [event for row in rows for event in derive(row)]
        before = self._at
        self._at = await store.append(self._pool, self._lease, before, to, events)
        while self._seen and self._seen[0][0] <= to:
            self._seen.popleft()
        now_ns = clock.now_ns()
        for number, event in enumerate(events, before.number + 1):
            self._feed.append(number, event)
        for kind, count in Counter(event.type for event in events).items():
            _written.add(count, {"type": kind})
        for event in events:
            _lag.observe_ns(now_ns - round(event.at.timestamp() * 1e9), "", event.traceparent)
        if telemetry.is_tracing() and (keys := exits.ended(rows)):
            await exits.trace(self._pool, keys)
