"""Claimed orders in, POSTs out.

`claim_reader` -> `send_queue` -> `core/pre_trade_limits` -> SUBMITTING committed -> `sender` (POST,
classify) -> `recorder`. Claims that arrive together are committed together. Meanwhile the orders of
earlier commits are sent, and new claims are queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg
import structlog
from msgspec import structs

from services.executor import store
from services.executor.breaker import CircuitBreaker
from services.executor.collar import Collar
from services.executor.core.attempt import Attempt, Origin
from services.executor.core.breaker import Policy, prober_name
from services.executor.core.conclusion import HANDLED_BEFORE
from services.executor.core.pre_trade_limits import Halt, PreTradeLimits, SentEntry
from services.executor.gate_recheck import GateRecheck
from services.executor.pre_send_check import PreSendCheck
from services.executor.promise_check import ASK_MS, PromiseCheck
from services.executor.recorder import Outcome, Recorder
from services.executor.resender import Resender
from services.executor.send_queue import QueuedClaim, SendQueue
from services.executor.sender import Sender
from services.executor.settings import Settings
from tradingtools import clock
from tradingtools.domain.money import notional_ceil
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.runtime import instruments
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.venues.insiders.order_gateway import InsidersClient
from tradingtools.venues.insiders.promises import fetch_capabilities

_log = structlog.get_logger("executor")
_halts = instruments.counter(
    "tradingtools.executor",
    "gate_halts",
    "halts by the last gate, by scope",
    instruments.each(scope=("GLOBAL", "WALLET", "MARKET")),
)
_ACTOR = "executor"

_RETRY_SECONDS = 0.1
_LEASE_MARGIN_MS = 5_000
_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Orders of one or several claims that SUBMITTING is committed for together, in their order."""

    orders: Sequence[Order]
    records: Sequence[int]
    control_seq: int
    """The least of the claims': it only says whether the gates may skip looking at each order."""
    origins: Mapping[str, Origin]
    """By order key."""


def _merge(claims: Sequence[QueuedClaim]) -> Batch:
    return Batch(
        orders=[order for claim in claims for order in claim.orders],
        records=[seq for claim in claims for seq in claim.records],
        control_seq=min(claim.control_seq for claim in claims),
        origins={o.order_key: claim.origin for claim in claims for o in claim.orders},
    )


class Executor:
    """Sends one partition's orders.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        client: of insiders-api.
        settings: of the process.
        limits: bounds that no order may pass.
        submitting: connections for SUBMITTING alone; None: those of ``pool``.
        collar: around the best prices; None: no bound.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        client: InsidersClient,
        settings: Settings,
        limits: PreTradeLimits,
        *,
        submitting: Pool | None = None,
        collar: Collar | None = None,
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
            probe_ms=settings.breaker_longest_ms,
        )
        who = prober_name(lease.partition, lease.epoch)
        self.breaker = CircuitBreaker(pool, who, policy)
        self.queue = SendQueue(pool, lease, settings.poll_ms / 1000)
        promise = PromiseCheck(partial(fetch_capabilities, client, ASK_MS))
        poll = GateRecheck(partial(store.held_back, pool)).check
        self._sender = Sender(
            client,
            self.breaker,
            PreSendCheck(self.breaker, promise, poll),
            settings.submit_timeout_ms,
            self._lease_ms,
            lambda outcome: self._recorder().put([], [outcome]),
            lambda key: self.queue.done([key]),
            lambda: len(self.queue) > 0,
        )
        self._limits = limits
        self._collar = collar
        self.recorder: Recorder | None = None
        self._resender = Resender(
            pool, lease, self.breaker, promise, self._sender, self.queue.in_flight, self._lease_ms
        )

    def waited_ms(self) -> int:
        """Return how long the oldest order has waited to be sent."""
        return max(self.queue.waited_ms(), self._sender.waited_ms())

    async def recover(self) -> None:
        """Settle an earlier life: build rows of every record; what may have been sent is
        UNKNOWN."""
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
        await self._restore_limits()

    async def _restore_limits(self) -> None:
        now_ns, now_ms = clock.now_ns(), clock.monotonic_ms()
        left = await store.fetch(
            self._pool,
            "left_lately",
            partition=self._lease.partition,
            since_ns=now_ns - _MINUTE_NS,
        )
        self._limits.remember(
            (
                now_ms - max(now_ns - row["submitting_ns"], 0) // 1_000_000,
                SentEntry(
                    row["order_key"],
                    row["follower_proxy"],
                    row["condition_id"],
                    notional_ceil(row["size_micros"], row["limit_micros"]),
                ),
            )
            for row in left
        )

    async def submit(self) -> None:
        """Make durable and send what waits, in turn, for ever.

        Raises:
            Fenced: this process does not own the partition any more.
        """
        while True:
            claims = await self.queue.take()
            fresh = [claim for claim in claims if claim.orders]
            if fresh:
                await self._handle(_merge(fresh))
            for claim in claims:
                claim.handled()

    async def _handle(self, batch: Batch) -> None:
        probe, fresh = 0, batch.orders
        if not self.breaker.closed:
            probe, fresh = await self._await_breaker(batch)
        sent = await self._send(await self._within_limits(fresh, batch), batch, probe=probe)
        if probe and not sent:
            await self.breaker.give_back(probe)

    async def _within_limits(self, orders: Sequence[Order], batch: Batch) -> Sequence[Order]:
        """Return the orders within the pre-trade limits; fail the others and halt a runaway."""
        orders = self._within_collar(orders, batch)
        refused = self._limits.judge(orders, clock.monotonic_ms())
        if any(refusal.halt for refusal in refused.values()):
            # What cannot leave anyway does not run away: a fan-out of a leader whom an operator has
            # halted would stop all other entries, too.
            self._limits.release(o for o in orders if o.order_key not in refused)
            orders = await self._without_held_back(orders, batch)
            refused = self._limits.judge(orders, clock.monotonic_ms())
        await self._halt({r.halt: None for r in refused.values() if r.halt is not None})
        self._fail(
            [o for o in orders if o.order_key in refused], batch,
            dict.fromkeys(refused, Reason.RISK.value), {k: r.why for k, r in refused.items()},
        )  # fmt: skip
        return [o for o in orders if o.order_key not in refused]

    def _within_collar(self, orders: Sequence[Order], batch: Batch) -> Sequence[Order]:
        """Return the orders within the collar; the others stay CLAIMED until it has looked
        closely."""
        outside = {} if self._collar is None else self._collar.outside(orders)
        if self._collar is None or not outside:
            return orders
        for order in outside.values():
            self._collar.hold(
                order,
                partial(self._requeue, order, batch),
                partial(self._refuse_beyond_collar, order, batch),
            )
        return [order for order in orders if order.order_key not in outside]

    def _requeue(self, order: Order, batch: Batch, held_ns: int) -> None:
        origin = batch.origins[order.order_key]
        self.queue.requeue(
            QueuedClaim(
                orders=[order],
                records=batch.records,
                control_seq=batch.control_seq,
                origin=structs.replace(origin, held_ns=origin.held_ns + held_ns),
                handled=lambda: None,
            )
        )

    def _refuse_beyond_collar(self, order: Order, batch: Batch, why: str) -> None:
        key = order.order_key
        self._fail([order], batch, {key: Reason.RISK.value}, {key: why})

    async def _without_held_back(self, orders: Sequence[Order], batch: Batch) -> Sequence[Order]:
        """Return the orders that no gate stops now; refuse the others as SUBMITTING would."""
        unsent = [(order, 0) for order in orders]
        denied, _ = await while_database_is_away(partial(store.held_back, self._pool, unsent))
        self._refuse([o for o in orders if o.order_key in denied], batch, denied)
        return [o for o in orders if o.order_key not in denied]

    async def _halt(self, halts: Iterable[Halt]) -> None:
        """Stop the entries that run away, durably and before anything else is admitted."""
        for halt in halts:
            if await while_database_is_away(partial(store.halt, self._pool, halt, _ACTOR)):
                _halts.add(1, {"scope": halt.scope})
                _log.error("the last gate has halted; a person has to look", alert=True,
                           scope=halt.scope, subject=halt.subject, reason=halt.reason)  # fmt: skip

    async def _await_breaker(self, batch: Batch) -> tuple[int, Sequence[Order]]:
        """Return a probe and the one order that may be it, an exit if there is one.

        Who waits stays CLAIMED and is found by polling until it is let out or its time is over.
        """
        probe = await self.breaker.take_probe()
        exits_first = sorted(batch.orders, key=lambda o: o.purpose is Purpose.ENTRY)
        count = 1 if probe else 0
        going, waiting = exits_first[:count], exits_first[count:]
        now_ms = clock.now_ms()
        late = {o.order_key: self.breaker.reason for o in waiting if o.not_after_ms <= now_ms}
        self._fail(
            [o for o in waiting if o.order_key in late], batch,
            dict.fromkeys(late, Reason.EXPIRED.value), late,
        )  # fmt: skip
        for order in waiting:
            if order.order_key not in late:
                self.queue.release(order.order_key)
        return probe, going

    async def _send(self, orders: Sequence[Order], batch: Batch, *, probe: int) -> bool:
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
            self.queue.done([o.order_key for o in orders])
            return False
        self._recorder().put([*batch.records, admission.seq], [])
        submitting_ns = clock.now_ns()
        self._sender.send(
            [
                Attempt(
                    order=o,
                    gates_checked_ns=admission.gates_checked_ns,
                    origin=batch.origins[o.order_key],
                    submitting_ns=submitting_ns,
                    probe=probe,
                )
                for o in orders
            ]
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
        before = [o.order_key for o in orders if denied[o.order_key] == HANDLED_BEFORE]
        if before:
            _log.warning("handled before; not sent", orders=before)
            self.queue.done(before)
        unsent = [o for o in orders if o.order_key not in before]
        self._limits.release(unsent)
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
                    traceparent=batch.origins[order.order_key].traceparent,
                )
                for order in orders
            ],
        )

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise RuntimeError("the recorder is attached before any batch")
        return self.recorder
