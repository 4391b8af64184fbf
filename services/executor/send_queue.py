"""The queue of claims that wait to be sent; each order is queued at most once a process life.

`claim_reader` and polling fill it. The worker takes the claims that go together next, and says when
an order is over.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import psycopg
import structlog

from services.executor import store
from services.executor.core.attempt import Origin
from services.executor.core.fair_queue import FairQueue
from tradingtools import clock
from tradingtools.codec.claims import order_from_fields, order_from_pb
from tradingtools.domain.order import Order, Purpose
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb

_log = structlog.get_logger("executor.line")

_REMEMBERED = 200_000
_WINDOW = 2_000
"""Orders under way at the same time, of which entries have the room that is left."""
_IN_LINE = 10_000
"""Orders queued and under way, of which entries have the room that is left; more stay claims in
PostgreSQL and are found by polling."""
_COMMITTED_TOGETHER = 100
"""Orders of several claims in one SUBMITTING commit: as many as a part of a fan-out has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedClaim:
    """Orders that are claimed together, or what of them is left to be sent."""

    orders: Sequence[Order]
    records: Sequence[int]
    """Of the journal, that have to become rows with it."""
    control_seq: int
    origin: Origin
    handled: Callable[[], None]
    """Called when its stream need not bring it again: SUBMITTING is committed, nothing will be
    sent, or polling finds it."""
    number: int = 0
    """In the order in which they were queued."""


def _not_from_a_stream() -> None:
    """Do nothing: no stream waits for this claim."""


class SendQueue:
    """The claims of one partition that wait to be sent.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        poll_seconds: between two polls for claims that no stream brought.
    """

    def __init__(self, pool: Pool, lease: Lease, poll_seconds: float) -> None:
        self._pool = pool
        self._lease = lease
        self._poll_seconds = poll_seconds
        self._queue: FairQueue[QueuedClaim] = FairQueue()
        self._changed = asyncio.Event()
        """A claim was queued, or there is room."""
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.in_flight: set[str] = set()
        """Keys of orders that are queued or being sent."""
        self._taken: set[str] = set()
        """Of those, the ones that are not queued any more."""
        self._count = 0
        self._since_ms: dict[int, int] = {}
        """Since when claims are queued, oldest first, by their numbers."""

    def waited_ms(self) -> int:
        """Return how long the oldest claim has been queued."""
        since_ms = next(iter(self._since_ms.values()), None)
        return 0 if since_ms is None else clock.monotonic_ms() - since_ms

    def __len__(self) -> int:
        return len(self._queue)

    def on_batch(self, batch: pb.OrderBatch, handled: Callable[[], None]) -> None:
        """Queue the orders of a claim that were not queued before in this life.

        Args:
            batch: the claim.
            handled: see `QueuedClaim`.
        """
        self._put(
            QueuedClaim(
                orders=[order_from_pb(order) for order in batch.orders],
                records=[batch.journal_seq],
                control_seq=batch.control_seq,
                origin=Origin(
                    traceparent=batch.traceparent,
                    received_ns=batch.received_ns,
                    claimed_ns=batch.claimed_ns,
                ),
                handled=handled,
            )
        )

    async def poll(self) -> None:
        """Find claims that no stream brought: records without rows, rows still CLAIMED."""
        pause = self._poll_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                await journal.build_open_rows(
                    self._pool, self._lease.partition, older_than_seconds=pause
                )
                rows = await store.fetch(
                    self._pool,
                    "claimed_orders",
                    partition=self._lease.partition,
                    older_than_seconds=pause,
                )
            except psycopg.OperationalError as error:
                _log.warning("cannot look for claims", error=str(error))
                continue
            for row in rows:
                if row["order_key"] not in self._seen:
                    self._put(
                        QueuedClaim(
                            orders=[order_from_fields(row)],
                            records=[],
                            control_seq=row["control_seq"],
                            origin=Origin(
                                traceparent=row["traceparent"],
                                received_ns=row["received_ns"],
                                claimed_ns=row["claimed_ns"],
                            ),
                            handled=_not_from_a_stream,
                        )
                    )

    async def take(self) -> list[QueuedClaim]:
        """Return the claims that go together next; wait for one, and for room if they are
        entries."""
        while not (self._queue.exits_wait or (len(self._queue) and len(self._taken) < _WINDOW)):
            self._changed.clear()
            await self._changed.wait()
        claims = self._queue.take(_COMMITTED_TOGETHER)
        for claim in claims:
            del self._since_ms[claim.number]
        self._taken.update(order.order_key for claim in claims for order in claim.orders)
        return claims

    def done(self, keys: Sequence[str]) -> None:
        """Free the room of orders whose outcomes are durable, or that nobody waits for."""
        self.in_flight.difference_update(keys)
        self._taken.difference_update(keys)
        self._changed.set()

    def release(self, key: str) -> None:
        """Give up an order that stays CLAIMED: whoever brings it again may queue it."""
        self._seen.pop(key, None)
        self.done([key])

    def _put(self, claim: QueuedClaim) -> None:
        """Queue a claim; entries only while there is room, so that exits find some, too."""
        wallets = [o.follower.proxy for o in claim.orders if o.purpose is Purpose.ENTRY]
        if wallets and len(self.in_flight) >= _IN_LINE:
            claim.handled()
            return
        fresh = [order for order in claim.orders if order.order_key not in self._seen]
        for order in fresh:
            self._seen[order.order_key] = None
            self.in_flight.add(order.order_key)
        self._forget()
        self._enqueue(replace(claim, orders=fresh), wallets)

    def requeue(self, claim: QueuedClaim) -> None:
        """Queue orders once more that were taken and held."""
        self._taken.difference_update(order.order_key for order in claim.orders)
        self._enqueue(claim, [o.follower.proxy for o in claim.orders if o.purpose is Purpose.ENTRY])

    def _enqueue(self, claim: QueuedClaim, wallets: Sequence[str]) -> None:
        self._count += 1
        self._since_ms[self._count] = clock.monotonic_ms()
        # Orders brought before may still be queued: then this claim is behind them.
        self._queue.put(
            replace(claim, number=self._count),
            leader=claim.orders[0].leader if claim.orders else "",
            size=len(claim.orders),
            wallets=wallets,
        )
        self._changed.set()

    def _forget(self) -> None:
        # In-flight keys are young; only keys whose outcome is long durable fall out here.
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
