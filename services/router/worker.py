"""Leader trades in, claims out.

Read facts -> merge -> plan (core) -> commit -> stream on -> acknowledge. A crash before the commit
repeats the read; a crash after it repeats the plan, whose record is there already. One writer: all
claims of the partition go through one lock, so memory and journal never disagree.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable

import psycopg
import structlog
from opentelemetry import metrics

from services.router import recovery, store
from services.router.books import Books
from services.router.core import plan as planning
from services.router.core.ledger import OpenEntry
from services.router.core.memory import Memory
from services.router.core.plan import Context, LotView, Plan
from services.router.settings import Settings
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Claimed, Connection
from tradingtools.adapters.postgres.lease import Fenced, Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.codec.claims import claim_payload, order_to_pb
from tradingtools.codec.leader_trades import row_from_pb
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, TradeKey, merge
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.subscription import Subscription, SubscriptionState
from tradingtools.runtime import telemetry
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_log = structlog.get_logger("router")
_meter = metrics.get_meter("tradingtools.router")
_decisions = _meter.create_counter("decisions", description="by outcome and reason")
_claim_ms = _meter.create_histogram("claim_ms", unit="ms", description="plan and commit")

_SLICE_PAUSE_SECONDS = 1.0
_SLICE_PAUSE_LONGEST = 30.0
_RETRY_SECONDS = 0.2


class Router:
    """One partition's decisions.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        books: newest books.
        tail: where committed batches go.
        settings: of the process.
    """

    def __init__(
        self, pool: Pool, lease: Lease, books: Books, tail: Tail[pb.OrderBatch], settings: Settings
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._tail = tail
        self._settings = settings
        self._control_seq = 0
        self._memory = Memory()
        self._writing = asyncio.Lock()
        self._slices: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Rebuild memory from PostgreSQL; every record of the partition has its rows before."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=0)
        await self.refresh_index()
        await recovery.recover(self._pool, self._lease.partition, self._memory)

    async def judge_open_exits(self) -> None:
        """After a start: exits that waited, or whose slices ended while nobody looked."""
        for key, trade in list(self._memory.trades.items()):
            if key.side is Side.SELL and self._memory.copies.get(key):
                await self._route(trade, (), f"restart-{self._lease.epoch}")

    async def refresh_index(self) -> None:
        """Load what has changed in the control surface."""
        seq, changed = await store.changed_subscriptions(self._pool, self._control_seq)
        for subscription in changed:
            owner = ids.partition_of(subscription.follower.proxy, self._settings.partitions)
            if owner == self._lease.partition:
                self._memory.ledger.put(subscription)
        self._control_seq = seq

    async def on_message(self, message: ingest_pb.StreamLeaderTradesResponse) -> None:
        """Route the facts of one message.

        Raises:
            ExceptionGroup: some could not be read or routed; the others were.
        """
        facts: list[LeaderRow] = []
        failed: list[Exception] = []
        for event in message.trades:
            try:
                facts.append(row_from_pb(event))
            except (KeyError, ValueError) as error:
                failed.append(error)
        try:
            await self.on_facts(facts)
        except ExceptionGroup as group:
            failed.extend(group.exceptions)
        if failed:
            raise ExceptionGroup("leader trades that could not be routed", failed)

    async def on_facts(self, facts: Iterable[LeaderRow]) -> None:
        """Merge facts and route every leader trade that they change; returns when committed.

        Raises:
            ExceptionGroup: some could not be routed; the others were, and a repetition of all of
                them routes only what is missing.
        """
        changed: dict[TradeKey, tuple[LeaderTrade, list[LeaderRow]]] = {}
        for fact in facts:
            trade, rows = changed.get(fact.key) or (self._memory.trades.get(fact.key), [])
            merged = merge(trade, fact)
            if merged is not None:
                changed[fact.key] = (merged, [*rows, fact])
        failed: list[Exception] = []
        for key, (trade, rows) in changed.items():
            try:
                await self._route(trade, rows, f"revision-{trade.revision}")
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - one trade must not hold up the others
                failed.append(error)
            else:
                # Known only now: what could not be routed counts as never seen.
                self._memory.trades[key] = trade
        if failed:
            raise ExceptionGroup("leader trades that could not be routed", failed)

    async def on_fill(self, fill: confirm_pb.FillEvent) -> None:
        """Keep lots and reservations; wake exits that waited for this order."""
        if fill.subscription_id:
            self._memory.ledger.hold(
                fill.subscription_id, fill.condition_id, fill.asset_id, fill.lot_cost_micros
            )
        if fill.kind != confirm_pb.FILL_KIND_CLOSED:
            return
        self._memory.ledger.release(fill.order_key)
        lot = (fill.subscription_id, fill.asset_id)
        if not self._memory.ledger.entry_open(*lot):
            for key in self._memory.waiting.pop(lot, set()):
                await self._route(self._memory.trades[key], (), f"closed-{fill.order_key}")
        await self._on_exit_closed(fill)

    async def _on_exit_closed(self, fill: confirm_pb.FillEvent) -> None:
        key = self._memory.exit_trade.pop(fill.order_key, None)
        if key is None:
            return
        copy = self._memory.copies[key][fill.subscription_id]
        self._memory.copies[key][fill.subscription_id] = planning.unsold(
            copy, fill.order_size_micros, fill.order_filled_micros
        )
        if fill.order_filled_micros < fill.order_size_micros:
            pause = _SLICE_PAUSE_SECONDS * 2 ** (len(copy.order_keys) - 1)
            task = asyncio.create_task(
                self._next_slice(key, fill.order_key, min(pause, _SLICE_PAUSE_LONGEST))
            )
            self._slices.add(task)
            task.add_done_callback(self._slices.discard)

    async def _next_slice(self, key: TradeKey, after_order: str, pause: float) -> None:
        await asyncio.sleep(pause)
        await self._route(self._memory.trades[key], (), f"slice-{after_order}")

    async def _route(self, trade: LeaderTrade, rows: Iterable[LeaderRow], cause: str) -> None:
        followers = self._memory.ledger.followers_of(trade.key.leader)
        if not followers:
            return
        book = await self._books.get(trade.key.asset_id)
        facts = tuple(rows)
        while True:
            try:
                async with self._writing:
                    await self._claim(trade, facts, followers, book, cause)
                return
            except psycopg.OperationalError as error:
                # The commit may have happened: the same record again is refused, never doubled.
                _log.warning("claim not committed; trying again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _claim(
        self,
        trade: LeaderTrade,
        rows: tuple[LeaderRow, ...],
        followers: tuple[Subscription, ...],
        book: Book | None,
        cause: str,
    ) -> None:
        started = time.monotonic_ns()
        with telemetry.span("router.claim", trade.traceparent, cause=cause) as traceparent:
            if trade.key.side is Side.BUY:
                plan = planning.plan_entries(
                    trade,
                    [s for s in followers if s.state is not SubscriptionState.DELETED],
                    self._memory.copies.get(trade.key, {}),
                    self._context(trade, book),
                )
                async with self._pool.connection() as connection:
                    await self._commit(connection, trade, plan, rows, cause, traceparent)
            else:
                await self._claim_exits(trade, rows, followers, book, cause, traceparent)
        _claim_ms.record((time.monotonic_ns() - started) / 1e6)

    async def _claim_exits(
        self,
        trade: LeaderTrade,
        rows: tuple[LeaderRow, ...],
        followers: tuple[Subscription, ...],
        book: Book | None,
        cause: str,
        traceparent: str,
    ) -> None:
        asset = trade.key.asset_id
        async with store.locked_lots(self._pool, asset, [s.id for s in followers]) as (
            connection,
            lots,
        ):
            waiting = frozenset(
                s.id for s in followers if self._memory.ledger.entry_open(s.id, asset)
            )
            plan = planning.plan_exits(
                trade,
                [s for s in followers if self._follows_exits(s, trade, lots)],
                self._memory.copies.get(trade.key, {}),
                lots,
                waiting,
                self._context(trade, book),
            )
            # A crash from here to the commit leaves nothing: record, rows and reservation are one.
            deferred = await self._insert(connection, trade, plan, rows, cause, traceparent)
            if deferred is not None:
                await journal.build_rows(connection, deferred.seq)
        if deferred is not None:
            self._note(trade, plan, deferred, traceparent)

    def _follows_exits(
        self, subscription: Subscription, trade: LeaderTrade, lots: dict[str, LotView]
    ) -> bool:
        return (
            subscription.state is not SubscriptionState.DELETED
            or subscription.id in lots
            or self._memory.ledger.entry_open(subscription.id, trade.key.asset_id)
        )

    def _context(self, trade: LeaderTrade, book: Book | None) -> Context:
        return Context(
            book=book,
            now_ms=time.time_ns() // 1_000_000,
            entry_ttl_ms=self._settings.entry_ttl_ms,
            exit_ttl_ms=self._settings.exit_ttl_ms,
            market_exposure=lambda s: self._memory.ledger.exposure(s, trade.condition_id),
            entry_owner=self._memory.entry_owner.get,
        )

    async def _commit(
        self,
        connection: Connection,
        trade: LeaderTrade,
        plan: Plan,
        rows: tuple[LeaderRow, ...],
        cause: str,
        traceparent: str,
    ) -> None:
        claimed = await self._insert(connection, trade, plan, rows, cause, traceparent)
        if claimed is None:
            return
        # Committed: from here on a crash loses nothing, the executor finds the record.
        self._note(trade, plan, claimed, traceparent)
        if not plan.orders:
            await journal.build_rows(connection, claimed.seq)

    async def _insert(
        self,
        connection: Connection,
        trade: LeaderTrade,
        plan: Plan,
        rows: tuple[LeaderRow, ...],
        cause: str,
        traceparent: str,
    ) -> Claimed | None:
        if not plan.copies and not rows:
            return None
        payload = claim_payload(
            plan.orders,
            decisions=store.decision_fields(trade, plan.copies),
            rows=rows,
            control_seq=self._control_seq,
            traceparent=traceparent,
            received_ns=rows[-1].received_ns if rows else time.time_ns(),
            routed_ns=time.time_ns(),
        )
        return await journal.insert_claim(
            connection,
            self._lease,
            _record_key(trade.key, self._lease.partition, cause),
            payload,
            len(plan.orders),
        )

    def _note(self, trade: LeaderTrade, plan: Plan, claimed: Claimed, traceparent: str) -> None:
        copies = self._memory.copies.setdefault(trade.key, {})
        for subscription_id, copy in plan.copies.items():
            copies[subscription_id] = copy
            self._memory.remember_exit(trade.key, subscription_id, copy)
            _decisions.add(1, {"copied": copy.copied, "reason": str(copy.reason)})
        for order in plan.orders:
            if order.purpose is Purpose.ENTRY:
                self._memory.entry_owner[order.copy_key] = order.subscription_id
                self._memory.ledger.reserve(order.order_key, _open_entry(order))
        if plan.orders:
            self._tail.append(
                claimed.seq,
                pb.OrderBatch(
                    journal_seq=claimed.seq,
                    orders=[order_to_pb(order) for order in plan.orders],
                    traceparent=traceparent,
                    received_ns=trade.received_ns,
                    claimed_ns=claimed.claimed_ns,
                    control_seq=self._control_seq,
                ),
            )

    def forget_old(self, now_ms: int) -> None:
        """Drop leader trades that cannot grow any more."""
        self._memory.forget_before(now_ms - store.RECENT_SECONDS * 1000)

    def preview(self, fact: LeaderRow, subscription_ids: frozenset[str], book: Book | None) -> Plan:
        """What a fact would lead to, without doing it; entries only."""
        trade = merge(None, fact)
        if trade is None:
            raise AssertionError("a first fact always adds something")
        followers = [
            s
            for s in self._memory.ledger.followers_of(fact.key.leader)
            if not subscription_ids or s.id in subscription_ids
        ]
        if fact.key.side is Side.BUY:
            return planning.plan_entries(trade, followers, {}, self._context(trade, book))
        lots = {s.id: LotView(shares_micros=0, free_micros=0) for s in followers}
        return planning.plan_exits(
            trade, followers, {}, lots, frozenset(), self._context(trade, book)
        )


def _open_entry(order: Order) -> OpenEntry:
    return OpenEntry(
        subscription_id=order.subscription_id,
        condition_id=order.condition_id,
        asset_id=order.asset_id,
        money_micros=order.reserved_money_micros,
    )


def _record_key(key: TradeKey, partition: int, cause: str) -> str:
    text = f"{key.leader_tx}|{key.leader}|{key.asset_id}|{key.side}|{partition}|{cause}"
    return "router:" + hashlib.sha256(text.encode()).hexdigest()
