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
from tradingtools.adapters import clock
from tradingtools.adapters.postgres.pool import Pool

INSIDERS = "insiders-api"
_log = structlog.get_logger("executor.breaker")
_meter = metrics.get_meter("tradingtools.executor")
_moves = _meter.create_counter("breaker_moves", description="by dependency and new state")
_ORDER = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)
_standing: dict[str, BreakerState] = {}


def _observe(_: CallbackOptions) -> list[Observation]:
    return [
        Observation(_ORDER.index(state), {"dependency": name}) for name, state in _standing.items()
    ]


_meter.create_observable_gauge(
    "breaker", [_observe], description="0 closed, 1 half-open, 2 open; by dependency"
)


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
        self._probes = 0
        """Of this executor, under way or about to be."""
        self._closes = asyncio.Event()
        """Set the next time that it closes, and replaced."""

    @property
    def closed(self) -> bool:
        """Whether everything may leave."""
        return self._row.state is BreakerState.CLOSED

    @property
    def reason(self) -> str:
        """Why it is not closed, for those who wait in vain."""
        return f"{INSIDERS} is not asked: {self._row.reason}"

    async def pause(self, seconds: float) -> None:
        """Wait so long; while it is not closed, no longer than until it is."""
        if self.closed:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closes.wait()

    async def watch(self, pause_seconds: float) -> None:
        """See what other executors and operators do to it, for ever."""
        while True:
            try:
                await self.read()
                if self._row.prober == self._who and not self._probes:
                    # A commit that was not heard of has taken it, or its end was not committed.
                    await self.give_back()
            except psycopg.OperationalError as error:
                _log.warning("cannot read the breaker", error=str(error))
            await asyncio.sleep(pause_seconds)

    async def read(self) -> None:
        """Read the row; make it when it is missing."""
        rows = await store.fetch(self._pool, "breaker", dependency=INSIDERS)
        if not rows:
            await store.execute(self._pool, "add_breaker", dependency=INSIDERS)
        else:
            names = ("version", "openings", "retry_at_ms", "prober", "prober_lives", "reason")
            row: dict[str, Any] = {name: rows[0][name] for name in names}
            self._take(Breaker(state=BreakerState(rows[0]["state"]), **row))

    async def told(self, status: int | None, *, probe: bool) -> None:
        """One POST has ended with this status; None: without an answer."""
        failed = is_failure(status)
        if probe:
            # One that failed says nothing while a later one is under way.
            if not (failed and self._probes > 1):
                await self._move(Event.PROBE_FAILED if failed else Event.PROBE_PASSED, status)
            self.probe_ended()
        elif not failed:
            self.passed()
        else:
            self._failures += 1
            if self._failures >= self._policy.failures and self.closed:
                await self._move(Event.TRIPPED, status)

    def passed(self) -> None:
        """A POST that was no probe has been answered: failures are not in a row any more."""
        self._failures = 0

    async def take_probe(self) -> bool:
        """Whether this executor may send one request to find out."""
        if not may_probe(self._row, clock.now_ms()):
            return False
        # Before it is committed: `watch` gives back what nobody here knows of.
        self._probes += 1
        taken = await self._move(Event.PROBE_TAKEN, None)
        if not taken:
            self.probe_ended()
        return taken

    async def give_back(self, *, newest: bool = False) -> None:
        """The probe was not sent: the next one may be taken at once.

        Args:
            newest: none was taken after it; otherwise it says nothing while others are under way.
        """
        if newest or self._probes <= 1:
            await self._move(Event.PROBE_RETURNED, None)
        self.probe_ended()

    def probe_ended(self) -> None:
        """Nothing will be told of it any more."""
        self._probes = max(0, self._probes - 1)

    async def _move(self, event: Event, status: int | None) -> bool:
        """Whether the event moved it; another executor may have been first."""
        said = "no answer" if status is None else f"HTTP {status}"
        reason = f"{self._failures} failures in a row, the last one {said}"
        try:
            target = after(
                self._row, event, clock.now_ms(), self._policy, who=self._who, reason=reason
            )
            if target is not None and await store.move_breaker(
                self._pool, INSIDERS, self._row.version, target
            ):
                self._take(target)
                return True
            await self.read()
        except psycopg.OperationalError as error:
            _log.warning("the breaker did not move", move=event.name, error=str(error))
        return False

    def _take(self, row: Breaker) -> None:
        before, self._row = self._row, row
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
