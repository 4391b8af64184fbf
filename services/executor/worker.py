"""Claimed orders in, POSTs out.

Read batch -> last gate -> SUBMITTING committed -> POST -> classify -> outcomes to the recorder.
A crash before the commit leaves CLAIMED orders, which are found again; a crash after it leaves
SUBMITTING orders, which become UNKNOWN and are never sent again by this process.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import psycopg
import structlog
from opentelemetry import metrics

from services.executor import store
from services.executor.core.classify import PAUSE_MS, Meaning, Verdict, classify, next_try_ms
from services.executor.core.gate import Gate
from services.executor.recorder import Outcome, Recorder
from services.executor.settings import Settings
from tradingtools.adapters import clock
from tradingtools.adapters.insiders.client import Answer, InsidersClient, NotSent, Unanswered
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.codec.claims import order_from_fields, order_from_pb
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.runtime import telemetry
from tradingtools.v1 import common_pb2 as pb

_log = structlog.get_logger("executor")
_meter = metrics.get_meter("tradingtools.executor")
_answers = _meter.create_counter("answers", description="by meaning and code")
_submit_ms = _meter.create_histogram("submit_ms", unit="ms", description="POST round trip")

_REMEMBERED = 200_000
_WINDOW = 2_000
"""Orders under way at the same time; more wait as claims, and expire as such."""
_SEND_PAUSE_LONGEST_MS = 500
_RETRY_SECONDS = 0.1
_LEASE_MARGIN_MS = 5_000


class Executor:
    """Sends one partition's orders.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        client: of insiders-api.
        settings: of the process.
        gate: the last gate.
    """

    def __init__(
        self, pool: Pool, lease: Lease, client: InsidersClient, settings: Settings, gate: Gate
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._client = client
        self._settings = settings
        self._gate = gate
        self.recorder: Recorder | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._in_flight: set[str] = set()
        # A lane lives as long as somebody is in it.
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[None]] = set()
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
        """The outcomes of these orders are durable."""
        self._in_flight.difference_update(keys)
        if len(self._in_flight) < _WINDOW:
            self._room.set()

    async def on_batch(self, batch: pb.OrderBatch) -> None:
        """Send the orders of a claim that have not been handled in this life."""
        orders = [order_from_pb(order) for order in batch.orders]
        await self._handle(orders, [batch.journal_seq], batch.control_seq, batch.traceparent)

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
            for row in rows:
                order = order_from_fields(row)
                await self._handle([order], [], row["control_seq"], row["traceparent"])

    async def _handle(
        self, orders: Sequence[Order], records: Sequence[int], control_seq: int, traceparent: str
    ) -> None:
        await self._room.wait()
        fresh = [order for order in orders if order.order_key not in self._seen]
        for order in fresh:
            self._seen[order.order_key] = None
            self._in_flight.add(order.order_key)
        self._forget()
        if not fresh:
            return
        if len(self._in_flight) >= _WINDOW:
            self._room.clear()
        refused = self._gate.judge(fresh, clock.now_ms())
        self._fail(
            [o for o in fresh if o.order_key in refused], records, traceparent,
            dict.fromkeys(refused, Reason.RISK.value), refused,
        )  # fmt: skip
        await self._send(
            [o for o in fresh if o.order_key not in refused], records, control_seq, traceparent
        )

    def _forget(self) -> None:
        # In-flight keys are young; only keys whose outcome is long durable fall out here.
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def _send(
        self, orders: Sequence[Order], records: Sequence[int], control_seq: int, traceparent: str
    ) -> None:
        while orders:
            admission = await self._admit(orders, control_seq)
            if admission.denied is None:
                break
            denied = admission.denied
            self._fail(
                [o for o in orders if o.order_key in denied], records, traceparent, denied, {}
            )
            orders = [o for o in orders if o.order_key not in denied]
        if not orders:
            return
        if admission.duplicate:
            # The commit had happened and its acknowledgement was lost: do not send. The lease of
            # the rows runs out and the orders become UNKNOWN.
            _log.warning("batch was committed before", orders=len(orders))
            return
        recorder = self._recorder()
        recorder.put([*records, admission.seq], [])
        lanes: dict[str, list[Order]] = {}
        for order in orders:
            lanes.setdefault(_lane_of(order), []).append(order)
        for lane, queue in lanes.items():
            task = asyncio.create_task(self._lane(lane, queue, traceparent))
            self._running.add(task)
            task.add_done_callback(self._left_lane)

    async def _admit(self, orders: Sequence[Order], control_seq: int) -> store.Admission:
        while True:
            try:
                return await store.submit_batch(
                    self._pool,
                    self._lease,
                    orders,
                    control_seq,
                    self._settings.submit_timeout_ms + _LEASE_MARGIN_MS,
                )
            except psycopg.OperationalError as error:
                _log.warning("SUBMITTING not committed; trying again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _left_lane(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a lane died; its orders become UNKNOWN", exc_info=task.exception())

    async def _lane(self, name: str, orders: Sequence[Order], traceparent: str) -> None:
        """The orders of a lane one after the other; lanes run in parallel."""
        lock = self._lanes.setdefault(name, asyncio.Lock())
        async with lock:
            for order in orders:
                with telemetry.span("executor.submit", traceparent, order=order.order_key) as trace:
                    verdict, answer = await self._submit(order)
                self._recorder().put([], [_outcome(order, verdict, answer, trace)])

    async def _submit(self, order: Order) -> tuple[Verdict, Answer | None]:
        """POST until something may be concluded; only what provably was not taken goes again."""
        verdict = Verdict(meaning=Meaning.NOT_ACCEPTED, code="NOT_SENT")
        pause_ms = PAUSE_MS
        while clock.now_ms() < order.not_after_ms:
            try:
                answer = await self._client.submit(
                    order.side.lower(), order.order_key, order.body.encode(),
                    self._settings.submit_timeout_ms,
                )  # fmt: skip
            except NotSent as error:
                _log.warning("insiders-api unreachable", error=str(error))
                await asyncio.sleep(pause_ms / 1000)
                pause_ms = min(2 * pause_ms, _SEND_PAUSE_LONGEST_MS)
                continue
            except Unanswered as error:
                _log.warning("no answer", order=order.order_key, error=str(error))
                return Verdict(meaning=Meaning.UNKNOWN, code="NO_ANSWER"), None
            verdict = classify(answer.status, answer.body, order.order_key)
            _answers.add(1, {"meaning": verdict.meaning.name, "code": verdict.code})
            _submit_ms.record((answer.answered_ns - answer.first_byte_ns) / 1e6)
            if verdict.meaning is not Meaning.NOT_ACCEPTED:
                return verdict, answer
            wait_ms = next_try_ms(verdict, clock.now_ms(), order.not_after_ms)
            if wait_ms is None:
                break
            await asyncio.sleep(wait_ms / 1000)
        return verdict, None

    def _fail(
        self,
        orders: Sequence[Order],
        records: Sequence[int],
        traceparent: str,
        reasons: dict[str, str],
        details: dict[str, str],
    ) -> None:
        if not orders:
            return
        self._recorder().put(
            records,
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
                    traceparent=traceparent,
                )
                for order in orders
            ],
        )

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise RuntimeError("the recorder is attached before any batch")
        return self.recorder


def _lane_of(order: Order) -> str:
    """Entries of a wallet keep their order; an exit waits for nobody, its shares are reserved."""
    return order.follower.proxy if order.purpose is Purpose.ENTRY else order.order_key


def _text(body: bytes) -> str:
    """An answer as the audit keeps it; PostgreSQL has no NUL in text."""
    return body.decode(errors="replace").replace("\x00", "\ufffd")[:20_000]


def _outcome(order: Order, verdict: Verdict, answer: Answer | None, trace: str) -> Outcome:
    fields: dict[str, Any] = {
        "order_key": order.order_key,
        "from_state": OrderState.SUBMITTING,
        "expected_epoch": 1,
        "detail": _text(answer.body) if answer else None,
        "first_byte_ns": answer.first_byte_ns if answer else None,
        "answered_ns": answer.answered_ns if answer else None,
    }
    if verdict.meaning is Meaning.ACCEPTED and verdict.order is not None:
        fields |= {
            "to_state": OrderState.SUBMITTED,
            "venue_order_id": verdict.order.order_id,
            "next_check_ms": 0,
        }
    elif verdict.meaning is Meaning.REJECTED:
        fields |= {
            "to_state": OrderState.FAILED,
            "failed_kind": FailedKind.REJECTED,
            "reason": verdict.code,
        }
    elif verdict.meaning is Meaning.NOT_ACCEPTED:
        fields |= {
            "to_state": OrderState.FAILED,
            "failed_kind": FailedKind.UNSENT,
            "reason": Reason.EXPIRED,
        }
    else:
        fields |= {
            "to_state": OrderState.UNKNOWN,
            "reason": Reason.UNANSWERED,
            "detail": verdict.code,
            "next_check_ms": 0,
        }
    return Outcome(fields=fields, traceparent=trace)
