"""UNKNOWN -> SUBMITTING: send what confirm wants to be sent once more.

confirm decides and writes its request into the order's row. The owner of the partition commits the
new attempt and hands it to `sender`. What is read from the row may be a while ago: insiders-api is
asked again what it promises, here and, when the attempt is about to leave, by `pre_send_check`.
"""

from __future__ import annotations

import asyncio

import psycopg
import structlog
from psycopg.rows import DictRow

from services.executor import store
from services.executor.breaker import CircuitBreaker
from services.executor.core.attempt import Attempt, Origin
from services.executor.core.promise import Promise
from services.executor.promise_check import PromiseCheck, ReportedPromise
from services.executor.sender import Sender
from tradingtools.codec.claims import order_from_fields
from tradingtools.domain.order import Purpose
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("executor.resending")
_TOGETHER = 20
"""A commit each, some milliseconds; who is urgent and comes meanwhile waits for so many."""


class Resender:
    """Sends one partition's further attempts.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        breaker: of insiders-api; while it is not closed nothing but its probe is sent again.
        promise: that one key is one order.
        sender: of attempts.
        in_flight: keys of the orders that this process sends now; shared with the line.
        lease_ms: how long an attempt may take before it is fenced.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        breaker: CircuitBreaker,
        promise: PromiseCheck,
        sender: Sender,
        in_flight: set[str],
        lease_ms: int,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._breaker = breaker
        self._promise = promise
        self._sender = sender
        self._in_flight = in_flight
        self._lease_ms = lease_ms

    async def run(self, pause_seconds: float) -> None:
        """Look for wishes for ever."""
        while True:
            await asyncio.sleep(pause_seconds)
            try:
                while self._breaker.closed and await self._send_some():
                    pass
                if self._breaker.allows_probe:
                    await self._probe()
            except psycopg.OperationalError as error:
                # A commit that was not acknowledged is not acted on: its lease runs out.
                _log.warning("not sent again", error=str(error))

    async def _send_some(self) -> bool:
        """Send those that are first now; whether there were any.

        A few: exits that come meanwhile are first of the next ones.
        """
        rows = await self._desired()
        if not rows:
            return False
        promise, count = await self._promise.now(), 0
        for row in rows:
            # Before each commit: an attempt that waits for the breaker is one of few, and in vain.
            if count == _TOGETHER or not self._breaker.closed:
                break
            # It may have been taken up meanwhile: one sender an order.
            if row["order_key"] not in self._in_flight and await self._still_promised(row, promise):
                await self._send(row)
                count += 1
        return count > 0

    async def _desired(self) -> list[DictRow]:
        """Return what is wanted, but for that whose attempt before is still under way here."""
        rows = await store.fetch(self._pool, "to_send_again", partition=self._lease.partition)
        return [row for row in rows if row["order_key"] not in self._in_flight]

    async def _still_promised(self, row: DictRow, promise: ReportedPromise) -> bool:
        """Return whether one key is one order; give it back to confirm when it is not any more."""
        state = promise.judge(by_settings=row["send_again_by_settings"])
        if state is Promise.WITHDRAWN:
            _log.warning("not sent again: the promise is withdrawn", order=row["order_key"])
            await store.execute(
                self._pool, "drop_send_again", order_key=row["order_key"], epoch=row["epoch"]
            )
        return state is Promise.HOLDS

    async def _probe(self) -> None:
        """Have an exit find out whether insiders-api is back: on a quiet night nobody else comes.

        Entries leave it to those that are new.
        """
        row = next(iter(await self._desired()), None)
        if row is None or row["purpose"] == Purpose.ENTRY:
            return
        # Without an answer to this there is nothing yet that a probe could find out.
        if not await self._still_promised(row, await self._promise.now()):
            return
        probe, sent = await self._breaker.take_probe(), False
        try:
            sent = probe > 0 and await self._send(row, probe=probe)
            if probe and not sent:
                await self._breaker.give_back(probe)
        finally:
            if not sent:
                # `watch` gives back probes that were not reported.
                self._breaker.probe_ended(probe)

    async def _send(self, row: DictRow, *, probe: int = 0) -> bool:
        """Send one again; whether it may leave."""
        order = order_from_fields(row)
        again = await store.submit_again(
            self._pool, self._lease, order.order_key, row["epoch"], self._lease_ms
        )
        if again is None:
            return False
        _log.info("sent again", order=order.order_key, attempt=again.number)
        self._in_flight.add(order.order_key)
        attempt = Attempt(
            order=order,
            epoch=again.epoch,
            number=again.number,
            gates_checked_ns=again.gates_checked_ns,
            origin=Origin(traceparent=row["traceparent"]),
            probe=probe,
            by_settings=row["send_again_by_settings"],
        )
        self._sender.send([attempt])
        return True
