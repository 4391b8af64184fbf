"""Claimed orders in, POSTs out.

Read claims -> queue -> last gate -> SUBMITTING committed -> `sender`: POST, classify -> `recorder`.
Claims that have come together are made durable together; while they are, those before them are sent
and others get in line.
A crash before the commit leaves CLAIMED orders, which are found again; a crash after it leaves
SUBMITTING orders, which become UNKNOWN. Of those, `resending` sends what confirm asks for.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import psycopg
import structlog
from opentelemetry import metrics

from services.executor import store
from services.executor.breaker import CircuitBreaker
from services.executor.core.breaker import Policy, prober_name
from services.executor.core.gate import Gate, Halt
from services.executor.core.queue import Queue
from services.executor.recorder import Outcome, Recorder
from services.executor.resending import Resender
from services.executor.sender import Attempt, Sender
from services.executor.settings import Settings
from tradingtools.adapters import clock
from tradingtools.adapters.insiders.client import InsidersClient
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.codec.claims import order_from_fields, order_from_pb
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.runtime.intake import while_database_is_away
from tradingtools.v1 import common_pb2 as pb

_log = structlog.get_logger("executor")
_halts = metrics.get_meter("tradingtools.executor").create_counter(
    "gate_halts", description="halts by the last gate, by scope and mode"
)
_ACTOR = "executor"

_REMEMBERED = 200_000
_WINDOW = 2_000
"""Orders under way at the same time; more wait as claims, and expire as such."""
_COMMITTED_TOGETHER = 100
"""Orders of several claims in one SUBMITTING commit: as many as a part of a crowd has."""
_RETRY_SECONDS = 0.1
_LEASE_MARGIN_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Orders that are claimed together, or what of them is left to be sent."""

    orders: Sequence[Order]
    records: Sequence[int]
    """Of the journal, that have to become rows with it."""
    control_seq: int
    traceparent: str
    handled: Callable[[], None]
    """Called when a crash repeats nothing: SUBMITTING is committed, or nothing will be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Orders of one or several claims that SUBMITTING is committed for together, in their order."""

    orders: Sequence[Order]
    records: Sequence[int]
    control_seq: int
    """The least of the claims': it only says whether the gates may skip looking at each order."""
    traces: Mapping[str, str]
    """Traceparents by order key."""


def _together(claims: Sequence[Claim]) -> Batch:
    return Batch(
        orders=[order for claim in claims for order in claim.orders],
        records=[seq for claim in claims for seq in claim.records],
        control_seq=min(claim.control_seq for claim in claims),
        traces={o.order_key: claim.traceparent for claim in claims for o in claim.orders},
    )


def _unheard() -> None:
    """Nobody waits for it."""


class Executor:
    """Sends one partition's orders.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        client: of insiders-api.
        settings: of the process.
        gate: the last gate.
        submitting: connections for SUBMITTING alone; None: those of ``pool``.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        client: InsidersClient,
        settings: Settings,
        gate: Gate,
        *,
        submitting: Pool | None = None,
    ) -> None:
        self._pool = pool
        self._submitting = submitting or pool
        self._lease = lease
        self._settings = settings
        self._lease_ms = settings.submit_timeout_ms + _LEASE_MARGIN_MS
        policy = Policy(
            failures=settings.breaker_failures,
            open_ms=settings.breaker_open_ms,
            longest_ms=settings.breaker_longest_ms,
            probe_ms=self._lease_ms,
        )
        who = prober_name(lease.partition, lease.epoch)
        self.breaker = CircuitBreaker(pool, who, policy)
        self._sender = Sender(
            client,
            self.breaker,
            settings.submit_timeout_ms,
            lambda outcome: self._recorder().put([], [outcome]),
            lambda key: self.done([key]),
            lambda: len(self._queue) > 0,
        )
        self._gate = gate
        self._queue: Queue[Claim] = Queue()
        self._some = asyncio.Event()
        self.recorder: Recorder | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._in_flight: set[str] = set()
        self._resender = Resender(
            pool, lease, self.breaker, self._sender, self._in_flight, self._lease_ms
        )
        self._room = asyncio.Event()
        self._room.set()

    async def recover(self) -> None:
        """Settle an earlier life: rows for every record, UNKNOWN for what may have been sent."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=None)
        abandoned = await store.fetch(self._pool, "abandoned", partition=self._lease.partition)
        await store.record(
            self._pool,
            self._lease,
            [],
            [
                {
                    "order_key": row["order_key"],
                    "from_state": OrderState.SUBMITTING,
                    "to_state": OrderState.UNKNOWN,
                    "expected_epoch": row["epoch"],
                    "epoch": row["epoch"] + 1,
                    "reason": Reason.UNANSWERED,
                    "next_check_ms": 0,
                }
                for row in abandoned
            ],
        )

    def done(self, keys: Sequence[str]) -> None:
        """The outcomes of these orders are durable, or nobody here waits for one any more."""
        self._in_flight.difference_update(keys)
        if len(self._in_flight) < _WINDOW:
            self._room.set()

    async def on_batch(self, batch: pb.OrderBatch, handled: Callable[[], None]) -> None:
        """Have the orders of a claim sent that no one has brought in this life.

        Args:
            batch: the claim.
            handled: called when SUBMITTING is committed for them, or nothing of them will be sent.
        """
        await self._put(
            Claim(
                orders=[order_from_pb(order) for order in batch.orders],
                records=[batch.journal_seq],
                control_seq=batch.control_seq,
                traceparent=batch.traceparent,
                handled=handled,
            )
        )

    async def poll(self) -> None:
        """Find claims that no stream brought: records without rows, rows still CLAIMED."""
        pause = self._settings.poll_ms / 1000
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
            for row in sorted(rows, key=lambda row: bool(row["purpose"] == Purpose.ENTRY)):
                await self._put(
                    Claim(
                        orders=[order_from_fields(row)],
                        records=[],
                        control_seq=row["control_seq"],
                        traceparent=row["traceparent"],
                        handled=_unheard,
                    )
                )

    async def _put(self, claim: Claim) -> None:
        """Get in line; entries wait for room to do so."""
        if any(order.purpose is Purpose.ENTRY for order in claim.orders):
            await self._room.wait()
        fresh = [order for order in claim.orders if order.order_key not in self._seen]
        for order in fresh:
            self._seen[order.order_key] = None
            self._in_flight.add(order.order_key)
        self._forget()
        if len(self._in_flight) >= _WINDOW:
            self._room.clear()
        # Those that were brought before may still be in line: then this claim is behind them.
        self._queue.put(
            replace(claim, orders=fresh),
            leader=claim.orders[0].leader if claim.orders else "",
            size=len(fresh),
            wallets=[o.follower.proxy for o in claim.orders if o.purpose is Purpose.ENTRY],
        )
        self._some.set()

    async def submit(self) -> None:
        """Make durable and send what waits, in turn, for ever.

        Raises:
            Fenced: this process does not own the partition any more.
        """
        while True:
            while not len(self._queue):
                self._some.clear()
                await self._some.wait()
            claims = self._queue.take(_COMMITTED_TOGETHER)
            fresh = [claim for claim in claims if claim.orders]
            if fresh:
                await self._handle(_together(fresh))
            for claim in claims:
                claim.handled()

    async def _handle(self, batch: Batch) -> None:
        probe = not self.breaker.closed
        fresh = await self._await_breaker(batch) if probe else batch.orders
        refused = self._gate.judge(fresh, clock.now_ms())
        await self._halt({r.halt: None for r in refused.values() if r.halt is not None})
        self._fail(
            [o for o in fresh if o.order_key in refused], batch,
            dict.fromkeys(refused, Reason.RISK.value), {k: r.why for k, r in refused.items()},
        )  # fmt: skip
        going = [o for o in fresh if o.order_key not in refused]
        sent = await self._send(going, batch, probe=probe)
        if probe and fresh and not sent:
            await self.breaker.give_back()

    async def _halt(self, halts: Iterable[Halt]) -> None:
        """Stop what runs away, durably and before anything else is admitted."""
        for halt in halts:
            if await while_database_is_away(partial(store.halt, self._pool, halt, _ACTOR)):
                _halts.add(1, {"scope": halt.scope, "mode": halt.mode})
                _log.error("the last gate has halted; a person has to look", alert=True,
                           scope=halt.scope, subject=halt.subject, mode=halt.mode,
                           reason=halt.reason)  # fmt: skip

    async def _await_breaker(self, batch: Batch) -> list[Order]:
        """The one order that may be the probe, an exit if there is one; the others wait.

        Who waits stays CLAIMED and is found by polling until it is let out or its time is over.
        """
        probing = await self.breaker.take_probe()
        exits_first = sorted(batch.orders, key=lambda o: o.purpose is Purpose.ENTRY)
        going, waiting = exits_first[:probing], exits_first[probing:]
        now_ms = clock.now_ms()
        late = {o.order_key: self.breaker.reason for o in waiting if o.not_after_ms <= now_ms}
        self._fail(
            [o for o in waiting if o.order_key in late], batch,
            dict.fromkeys(late, Reason.EXPIRED.value), late,
        )  # fmt: skip
        for order in waiting:
            if order.order_key not in late:
                del self._seen[order.order_key]
                self.done([order.order_key])
        return going

    def _forget(self) -> None:
        # In-flight keys are young; only keys whose outcome is long durable fall out here.
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def _send(self, orders: Sequence[Order], batch: Batch, *, probe: bool) -> bool:
        """Commit SUBMITTING and have them POSTed; whether anything leaves."""
        while orders:
            admission = await self._admit(orders, batch.control_seq)
            if admission.denied is None:
                break
            denied = admission.denied
            self._refuse([o for o in orders if o.order_key in denied], batch, denied)
            orders = [o for o in orders if o.order_key not in denied]
        if not orders:
            return False
        if admission.duplicate:
            # The commit had happened and its acknowledgement was lost: do not send. The lease of
            # the rows runs out and the orders become UNKNOWN.
            _log.warning("batch was committed before", orders=len(orders))
            return False
        self._recorder().put([*batch.records, admission.seq], [])
        self._sender.send(
            [Attempt(order=o, traceparent=batch.traces[o.order_key], probe=probe) for o in orders]
        )
        return True

    async def send_again(self) -> None:
        """Send what confirm wants to be sent once more, for ever."""
        await self._resender.run(self._settings.poll_ms / 1000)

    async def _admit(self, orders: Sequence[Order], control_seq: int) -> store.Admission:
        while True:
            try:
                return await store.submit_batch(
                    self._submitting,
                    self._lease,
                    orders,
                    control_seq,
                    self._lease_ms,
                )
            except psycopg.OperationalError as error:
                _log.warning("SUBMITTING not committed; trying again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _refuse(self, orders: Sequence[Order], batch: Batch, denied: dict[str, str]) -> None:
        """Fail what was denied; what was handled before may have been sent and is left alone."""
        before = [o.order_key for o in orders if denied[o.order_key] == store.HANDLED_BEFORE]
        if before:
            _log.warning("handled before; not sent", orders=before)
            self.done(before)
        unsent = [o for o in orders if o.order_key not in before]
        self._fail(unsent, batch, denied, {})

    def _fail(
        self,
        orders: Sequence[Order],
        batch: Batch,
        reasons: dict[str, str],
        details: dict[str, str],
    ) -> None:
        if not orders:
            return
        self._recorder().put(
            batch.records,
            [
                Outcome(
                    fields={
                        "order_key": order.order_key,
                        "from_state": OrderState.CLAIMED,
                        "to_state": OrderState.FAILED,
                        "expected_epoch": 0,
                        "failed_kind": FailedKind.UNSENT,
                        "reason": reasons[order.order_key],
                        "detail": details.get(order.order_key),
                    },
                    traceparent=batch.traces[order.order_key],
                )
                for order in orders
            ],
        )

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise RuntimeError("the recorder is attached before any batch")
        return self.recorder
