"""Write the outcomes of orders, in order, behind the POSTs; then stream them to confirm.

There is one writer, so that event numbers reach the stream in the order of their commits. Outcomes
that arrive while a transaction runs go into the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import structlog

from services.executor import order_latency, store
from services.executor.core.attempt import Attempt
from tradingtools import clock
from tradingtools.domain.order_states import OrderState
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import executor_service_pb2 as pb

_log = structlog.get_logger("executor.recorder")
_RETRY_SECONDS = 0.2

STATES = {
    "SUBMITTED": common.ORDER_STATE_SUBMITTED,
    "FAILED": common.ORDER_STATE_FAILED,
    "UNKNOWN": common.ORDER_STATE_UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One order's transition, as `apply_transitions` reads it, and its trace."""

    fields: dict[str, Any]
    traceparent: str
    attempt: Attempt | None = None
    """The attempt that was answered; None: nothing was sent, or no answer came."""


class Recorder:
    """Queue and writer of outcomes.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        tail: of order events.
        done: called with the keys whose outcome is durable.
        left: called with the key of an order that stays CLAIMED, because its outcome was refused.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        tail: Tail[pb.OrderEvent],
        done: Callable[[Sequence[str]], None],
        left: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._tail = tail
        self._done = done
        self._left = left
        self._queue: asyncio.Queue[tuple[Sequence[int], Sequence[Outcome]]] = asyncio.Queue()

    def put(self, records: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        """Have journal records built and outcomes stored, soon."""
        self._queue.put_nowait((records, outcomes))

    async def run(self) -> None:
        """Write for ever."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            # Whoever builds rows takes records in this order, so that nobody waits in a circle.
            records = sorted(seq for seqs, _ in batch for seq in seqs)
            outcomes = [outcome for _, found in batch for outcome in found]
            changed = await self._store(records, outcomes)
            self._publish(outcomes, changed)
            self._done([outcome.fields["order_key"] for outcome in outcomes])
            # Behind everything that somebody waits for.
            for outcome in outcomes:
                if outcome.attempt is not None:
                    order_latency.observe(
                        outcome.attempt,
                        first_byte_ns=outcome.fields["first_byte_ns"],
                        answered_ns=outcome.fields["answered_ns"],
                    )

    async def _store(self, records: Sequence[int], outcomes: Sequence[Outcome]) -> dict[str, int]:
        while True:
            try:
                return await store.record(
                    self._pool, self._lease, records, [outcome.fields for outcome in outcomes]
                )
            except psycopg.OperationalError as error:
                # If the commit happened after all, the repetition changes nothing; confirm finds
                # what was not streamed by looking at open orders.
                _log.warning("outcomes not stored; trying again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            except psycopg.Error as error:
                _log.error("outcomes not stored together; one by one", exc_info=error)
                return await self._store_singly(records, outcomes)

    async def _store_singly(
        self, records: Sequence[int], outcomes: Sequence[Outcome]
    ) -> dict[str, int]:
        """Store what can be stored: one that cannot must not hold up the others."""
        changed: dict[str, int] = {}
        for seq in records:
            await while_database_is_away(partial(store.build_or_quarantine, self._pool, seq))
        for outcome in outcomes:
            try:
                changed |= await while_database_is_away(
                    partial(store.record, self._pool, self._lease, [], [outcome.fields])
                )
            except psycopg.Error as error:
                # SUBMITTING: its lease runs out and it becomes UNKNOWN; confirm finds out.
                key = outcome.fields["order_key"]
                _log.error("an outcome cannot be stored", order=key, exc_info=error)
                if outcome.fields["from_state"] is OrderState.CLAIMED:
                    self._left(key)
        return changed

    def _publish(self, outcomes: Sequence[Outcome], changed: dict[str, int]) -> None:
        events = []
        for outcome in outcomes:
            fields = outcome.fields
            seq = changed.get(fields["order_key"])
            if seq is None:
                _log.warning("order is not ours any more", order=fields["order_key"])
                continue
            events.append(
                pb.OrderEvent(
                    event_seq=seq,
                    order_key=fields["order_key"],
                    state=STATES[fields["to_state"]],
                    reason=fields.get("reason") or "",
                    venue_order_id=fields.get("venue_order_id") or "",
                    occurred_ns=fields.get("answered_ns") or clock.now_ns(),
                    traceparent=outcome.traceparent,
                    answer=(fields.get("detail") or "").encode(),
                )
            )
        for event in sorted(events, key=lambda e: e.event_seq):
            self._tail.append(event.event_seq, event)
