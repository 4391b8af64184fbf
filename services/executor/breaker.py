"""The circuit breaker of insiders-api as one executor sees it; PostgreSQL makes it everybody's.

Before it: the sender, which tells of each POST. After it: the worker, which asks before it admits.
Asking is a look into memory; the row is read in the background and moved only when it changes. It
protects, it proves nothing: without the database it stays as it was last seen.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.executor import store
from services.executor.core.breaker import (
    Breaker,
    BreakerState,
    Event,
    Policy,
    after,
    is_failure,
    may_probe,
)
from tradingtools import clock
from tradingtools.runtime import instruments
from tradingtools.storage.postgres.pool import Pool

INSIDERS = "insiders-api"
_log = structlog.get_logger("executor.breaker")
_meter = metrics.get_meter("tradingtools.executor")
_moves = instruments.counter(
    "tradingtools.executor",
    "breaker_moves",
    "by dependency and new state",
    instruments.each(dependency=(INSIDERS,), state=BreakerState),
)
_ORDER = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)
_standing: dict[str, BreakerState] = {}


def _observe(_: CallbackOptions) -> list[Observation]:
    return [
        Observation(_ORDER.index(state), {"dependency": name}) for name, state in _standing.items()
    ]


_meter.create_observable_gauge(
    "breaker", [_observe], description="0 closed, 1 half-open, 2 open; by dependency"
)
_CLOSED = BreakerState.CLOSED
"""Looked up once: it is on the way to each first byte."""


class CircuitBreaker:
    """insiders-api's breaker.

    Args:
        pool: of the deciding database.
        who: this executor in this life, see `prober_name`.
        policy: when it opens and for how long.
    """

    def __init__(self, pool: Pool, who: str, policy: Policy) -> None:
        self._pool = pool
        self._who = who
        self._policy = policy
        self._row = Breaker()
        self._failures = 0
        self._probes: set[int] = set()
        """Of this executor, under way or about to be, by the row's version that lets each out."""
        self._taking = False
        self._tripping = asyncio.Lock()
        """One opens it, however many have failed: the others need no connection to find it open."""
        self._closes = asyncio.Event()
        """Set the next time that it closes, and replaced."""

    @property
    def closed(self) -> bool:
        """Return whether every request may be sent."""
        return self._row.state is _CLOSED

    def allows(self, probe: int) -> bool:
        """Return whether a POST may be sent: all may, or this is the current probe.

        Args:
            probe: as `take_probe` gave it; 0: it is none.
        """
        row = self._row
        return self.closed or (row.prober == self._who and row.version == probe)

    @property
    def reason(self) -> str:
        """Return why the breaker is not closed."""
        return f"{INSIDERS} is not asked: {self._row.reason}"

    async def pause(self, seconds: float, *, probes: bool) -> None:
        """Wait so long; while it is not closed, no longer than until it is.

        Args:
            seconds: at most.
            probes: who waits may be the probe: no longer than until it is time for one, too.
        """
        if self.closed:
            await asyncio.sleep(seconds)
            return
        until_probe_ms = self._row.retry_at_ms - clock.now_ms()
        if probes and until_probe_ms > 0:
            seconds = min(seconds, until_probe_ms / 1000)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closes.wait()

    async def watch(self, pause_seconds: float) -> None:
        """Follow what other executors and operators do to the breaker, for ever."""
        while True:
            try:
                await self.read()
                if self._row.prober == self._who and self._row.version not in self._probes:
                    # A commit that was not acknowledged has taken it, or its end was not committed.
                    await self.give_back(self._row.version)
            except psycopg.OperationalError as error:
                _log.warning("cannot read the breaker", error=str(error))
            await asyncio.sleep(pause_seconds)

    async def read(self) -> None:
        """Read the row; make it when it is missing."""
        before = self._row
        rows = await store.fetch(self._pool, "breaker", dependency=INSIDERS)
        if not rows:
            await store.execute(self._pool, "add_breaker", dependency=INSIDERS)
        else:
            names = ("version", "openings", "retry_at_ms", "prober", "prober_lives", "reason")
            row: dict[str, Any] = {name: rows[0][name] for name in names}
            self._take(Breaker(state=BreakerState(rows[0]["state"]), **row), before)

    async def report(self, status: int | None, *, probe: int) -> None:
        """Count how one POST has ended, and open or close the breaker by it.

        Args:
            status: of its answer; None: there was none.
            probe: as `take_probe` gave it; 0: it was none.
        """
        failed = is_failure(status)
        if probe:
            try:
                # One that failed says nothing when there is a later one; that one passed is news.
                if not failed or probe == self._row.version:
                    await self._move(Event.PROBE_FAILED if failed else Event.PROBE_PASSED, status)
            finally:
                self.probe_ended(probe)
        elif not failed:
            self.report_success()
        else:
            self._failures += 1
            async with self._tripping:
                if self._failures >= self._policy.failures and self.closed:
                    await self._move(Event.TRIPPED, status)

    def report_success(self) -> None:
        """Reset the count of failures in a row: a POST that was no probe was answered."""
        self._failures = 0

    @property
    def allows_probe(self) -> bool:
        """Return whether a probe is due and nobody here is about to take it."""
        if self._taking or self.closed:
            return False
        return may_probe(self._row, clock.now_ms(), self._policy)

    async def take_probe(self) -> int:
        """Take the right to send one request to find out, if it is due.

        Returns:
            The version of the row that lets it out; 0: it may not.
        """
        if not self.allows_probe:
            return 0
        # Before it is committed: `watch` gives back what nobody here knows of.
        probe = self._row.version + 1
        self._probes.add(probe)
        self._taking, taken = True, False
        try:
            taken = await self._move(Event.PROBE_TAKEN, None)
        finally:
            self._taking = False
            if not taken:
                self.probe_ended(probe)
        return probe if taken else 0

    async def give_back(self, probe: int) -> None:
        """Return a probe that was not sent, so that the next may be taken at once."""
        try:
            if probe == self._row.version:
                await self._move(Event.PROBE_RETURNED, None)
        finally:
            self.probe_ended(probe)

    def probe_ended(self, probe: int) -> None:
        """Forget a probe of which nothing will be reported any more."""
        self._probes.discard(probe)

    async def _move(self, event: Event, status: int | None) -> bool:
        """Apply an event to the row; return whether it changed, as another executor may be
        first."""
        message = "no answer" if status is None else f"HTTP {status}"
        reason = f"{self._failures} failures in a row, the last one {message}"
        before = self._row
        try:
            target = after(
                before, event, clock.now_ms(), self._policy, who=self._who, reason=reason
            )
            if target is not None and await store.move_breaker(
                self._pool, INSIDERS, before.version, target
            ):
                self._take(target, before)
                return True
            await self.read()
        except psycopg.OperationalError as error:
            _log.warning("the breaker did not move", move=event.name, error=str(error))
        return False

    def _take(self, row: Breaker, requested: Breaker) -> None:
        """Adopt this row, which was requested while ``requested`` stood here."""
        before = self._row
        if before is not requested and row.version < before.version:
            return  # Another answer was faster and knew more.
        self._row = row
        _standing[INSIDERS] = row.state
        if before.state is row.state:
            return
        if self.closed:
            self._closes.set()
            self._closes = asyncio.Event()
        self._failures = 0
        _moves.add(1, {"dependency": INSIDERS, "state": row.state})
        if row.state is BreakerState.OPEN:
            _log.error("circuit breaker opened; orders wait", alert=True, dependency=INSIDERS,
                       reason=row.reason, openings=row.openings)  # fmt: skip
        else:
            _log.warning("circuit breaker", dependency=INSIDERS, state=row.state, by=row.prober)
