"""Plan and commit for one leader trade: what the plan was made of is what becomes durable.

The caller holds the writing lock. Followers and the control number they are good for are taken
together, here, after every wait: a pause that commits later is seen by the executor's gate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from opentelemetry import metrics

from services.router import store
from services.router.core.exit_plan import plan_exits, switched_off
from services.router.core.ledger import DAY_MS, OpenEntry
from services.router.core.memory import Memory
from services.router.core.plan import plan_entries
from services.router.core.records import (
    Context,
    Copy,
    LotView,
    Part,
    Plan,
    Withdrawn,
    decided_again,
)
from services.router.settings import Settings
from services.router.turns import Share
from tradingtools.adapters import clock
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Claimed
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.adapters.postgres.prompt import Connection
from tradingtools.codec.claims import claim_payload, order_to_pb
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade, Side
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.subscription import Subscription, SubscriptionState
from tradingtools.runtime import telemetry
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb

_meter = metrics.get_meter("tradingtools.router")
_decisions = _meter.create_counter("decisions", description="by outcome and reason")
_claim_ms = _meter.create_histogram("claim_ms", unit="ms", description="plan and commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One judgement of one leader trade, and everything that its record says besides the plan."""

    trade: LeaderTrade
    book: Book | None
    cause: str
    """What asked for it; with the trade's key it names the record."""
    followers: tuple[Subscription, ...]
    control_seq: int
    """The last control change that the followers reflect."""
    traceparent: str
    withdrawn: Withdrawn | None = None
    """The entry that is to be decided again; then it is about its subscription alone."""
    part: Part | None = None
    """Whose copies; None: of all followers."""
    unsure: bool = False
    """Whether an earlier try may have committed the record: the journal is asked, whatever it would
    say now."""

    @property
    def fresh(self) -> bool:
        """Rows of the leader trade are new; they are stored with the last part."""
        return self.cause.startswith("rows-") and (self.part is None or self.part.last)


class Claimer:
    """Makes plans durable and hands their orders on.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        memory: what the router knows; changed only after a commit.
        tail: where committed batches go.
        settings: of the process.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        memory: Memory,
        tail: Tail[pb.OrderBatch],
        settings: Settings,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._memory = memory
        self._tail = tail
        self._settings = settings

    async def claim(
        self,
        trade: LeaderTrade,
        book: Book | None,
        cause: str,
        *,
        withdrawn: Withdrawn | None = None,
        share: Share | None = None,
        unsure: bool = False,
    ) -> None:
        """Judge a leader trade for its followers and commit what follows from it.

        Args:
            trade: as far as it is known.
            book: the newest of its asset.
            cause: what asked for it.
            withdrawn: the entry that is decided again, alone.
            share: of a crowd, whose copies are claimed now; None: of all followers.
            unsure: an earlier try may have committed.

        Raises:
            Fenced: the partition is another's.
            ClaimedBefore: an earlier try had committed unacknowledged; memory is behind.
            psycopg.OperationalError: not committed as far as is known; the same call again is safe.
        """
        started = clock.monotonic_ns()
        with telemetry.span("router.claim", trade.traceparent, cause=cause) as traceparent:
            job = Job(
                trade=trade,
                book=book,
                cause=cause,
                followers=self._followers(trade, share),
                control_seq=self._memory.control_seq,
                traceparent=traceparent,
                withdrawn=withdrawn,
                unsure=unsure,
            )
            if trade.key.side is Side.BUY:
                await self._claim_entries(job, share)
            else:
                await self._claim_exits(job)
        _claim_ms.record((clock.monotonic_ns() - started) / 1e6)

    def _followers(self, trade: LeaderTrade, share: Share | None) -> tuple[Subscription, ...]:
        index = self._memory.index
        if share is None:
            return index.followers_of(trade.key.leader)
        return tuple(filter(None, map(index.subscription, share.part.ids)))

    async def _claim_entries(self, job: Job, share: Share | None) -> None:
        known = self._memory.copies.get(job.trade.key, {})
        again = {} if job.withdrawn is None else self._again(job.withdrawn, known)
        if job.withdrawn is not None and not again:
            return
        followers = {
            s.id: s
            for s in job.followers
            if s.id in again or (not again and s.state is not SubscriptionState.DELETED)
        }
        context = self.context(job.trade, job.book, self._quiet_ms(job))
        known = {**known, **again}
        if share is None:
            plan = plan_entries(job.trade, followers.values(), known, context)
        else:
            plan = Plan()
            async for ids in share.pieces():
                piece = filter(None, map(followers.get, ids))
                plan = plan_entries(job.trade, piece, known, context, plan)
            if not share.part.ids:
                return
            job = replace(job, part=share.part)
        # That it counts for nothing is durable also when nothing takes its place.
        plan = replace(plan, copies={**again, **plan.copies})
        async with self._pool.connection() as connection:
            claimed = await self._insert(connection, job, plan)
            if claimed is None:
                return
            # Committed: from here on a crash loses nothing, the executor finds the record.
            self._note(job, plan, claimed)
            if not plan.orders:
                await journal.build_rows(connection, claimed.seq)

    async def _claim_exits(self, job: Job) -> None:
        asset = job.trade.key.asset_id
        entries = self._entries_left(job)
        if entries:
            # Now, and not under the lock, which holds up the executor.
            partition = self._lease.partition
            await journal.build_open_rows(self._pool, partition, older_than_seconds=None)
        async with store.exiting(self._pool) as connection:
            # Whatever is still CLAIMED fails here and was never sent; the rest is awaited.
            left = await store.leader_left(connection, self._lease.partition, entries)
            real = await store.locked_lots(connection, asset, [s.id for s in job.followers])
            lots = self.lots_of(job.followers, asset, real)
            known = self._memory.copies.get(job.trade.key, {})
            plan = plan_exits(
                job.trade,
                # What was judged once is judged to its end, whoever has been deleted meanwhile.
                [s for s in job.followers if s.id in known or self._follows_exits(s, asset, lots)],
                known,
                lots,
                self.context(job.trade, job.book),
            )
            plan = replace(plan, left=self._memory.left(left), left_orders=tuple(left))
            # A crash from here to the commit leaves nothing: record, rows, reservation are one.
            claimed = await self._insert(connection, job, plan)
            if claimed is not None:
                await journal.build_rows(connection, claimed.seq)
        if claimed is not None:
            self._note(job, plan, claimed)

    def _again(self, order: Withdrawn, known: Mapping[str, Copy]) -> dict[str, Copy]:
        before = known.get(order.subscription_id)
        now = self._memory.index.subscription(order.subscription_id)
        if before is None or now is None:
            return {}
        copy = decided_again(before, order, now)
        return {} if copy is None else {order.subscription_id: copy}

    def _entries_left(self, job: Job) -> list[str]:
        """Entries under way of followers who have not judged this sell before."""
        asset, known = job.trade.key.asset_id, self._memory.copies.get(job.trade.key, {})
        return sorted(
            order_key
            for s in job.followers
            if s.id not in known and switched_off(s) is None
            for order_key in self._memory.ledger.open_entries(s.id, asset)
        )

    def lots_of(
        self, followers: Iterable[Subscription], asset_id: str, lots: Mapping[str, LotView]
    ) -> dict[str, LotView]:
        """The lots of an asset, those on paper for shadows."""
        real = {origin: self._memory.with_portions(origin, lot) for origin, lot in lots.items()}
        shadows = {
            s.id: self._memory.paper_lot(s.id, asset_id) for s in followers if s.settings.shadow
        }
        return {**real, **shadows}

    def _follows_exits(
        self, subscription: Subscription, asset_id: str, lots: Mapping[str, LotView]
    ) -> bool:
        return (
            subscription.state is not SubscriptionState.DELETED
            or subscription.id in lots
            or self._memory.ledger.entry_open(subscription.id, asset_id)
        )

    def context(
        self, trade: LeaderTrade, book: Book | None, quiet_ms: int | None = None
    ) -> Context:
        """What a plan depends on besides the trade, now."""
        now_ms = clock.now_ms()
        return Context(
            book=book,
            now_ms=now_ms,
            entry_ttl_ms=self._settings.entry_ttl_ms,
            exit_ttl_ms=self._settings.exit_ttl_ms,
            exposure=lambda s: self._memory.exposure(s, trade, now_ms),
            entry_owner=self._memory.entry_owner.get,
            quiet_ms=quiet_ms,
            close_ms=self._settings.trade_close_ms,
        )

    def _quiet_ms(self, job: Job) -> int | None:
        known = self._memory.trades.get(job.trade.key)
        if known is None or not job.cause.startswith("rows-"):
            return None
        return (job.trade.last_row_ns - known.last_row_ns) // 1_000_000

    async def _insert(self, connection: Connection, job: Job, plan: Plan) -> Claimed | None:
        """Insert the record; None when the judgement changes nothing that is not durable."""
        fresh = job.fresh
        if not (plan.copies or plan.left or fresh or job.unsure):
            return None
        decisions = store.decision_fields(job.trade, plan.copies)
        for key, copies in plan.left.items():
            buy = self._memory.trade(key)
            if buy is not None:
                decisions += store.decision_fields(buy, copies)
        payload = claim_payload(
            plan.orders,
            decisions=decisions,
            # All of them: rows that were merged while nobody followed are stored with the first.
            rows=job.trade.rows.values() if fresh else (),
            control_seq=job.control_seq,
            traceparent=job.traceparent,
            received_ns=job.trade.last_row_ns if fresh else clock.now_ns(),
            routed_ns=clock.now_ns(),
        )
        return await journal.insert_claim(
            connection,
            self._lease,
            _record_key(job, self._lease.partition),
            payload,
            len(plan.orders),
        )

    def _note(self, job: Job, plan: Plan, claimed: Claimed) -> None:
        key = job.trade.key
        now_ms = clock.now_ms()
        for copy in plan.copies.values():
            self._memory.note_copy(job.trade, copy, now_ms)
            _decisions.add(1, {"copied": copy.copied, "reason": str(copy.reason)})
        for buy, copies in plan.left.items():
            self._memory.copies[buy].update(copies)
        for order_key in plan.left_orders:
            self._memory.ledger.release(order_key, size_micros=0, filled_micros=0)
        for order in plan.orders:
            if order.purpose is Purpose.ENTRY:
                self._memory.entry_trade[order.order_key] = key
                self._memory.entry_owner[order.copy_key] = order.subscription_id
                self._memory.ledger.reserve(order.order_key, open_entry(order, now_ms // DAY_MS))
            else:
                self._memory.exit_trade[order.order_key] = key
        if plan.orders:
            batch = order_batch(
                claimed,
                plan.orders,
                control_seq=job.control_seq,
                traceparent=job.traceparent,
                received_ns=job.trade.received_ns,
            )
            self._tail.append(claimed.seq, batch)


def rows_cause(trade: LeaderTrade) -> str:
    """The cause "these rows are known": the same rows give the same record, others another."""
    known = sorted(
        (source, price, size, row.count) for (source, (price, size)), row in trade.rows.items()
    )
    return "rows-" + hashlib.sha256(repr(known).encode()).hexdigest()


def order_batch(
    claimed: Claimed,
    orders: Iterable[Order],
    *,
    control_seq: int,
    traceparent: str,
    received_ns: int,
) -> pb.OrderBatch:
    """A committed claim as the executor gets it."""
    return pb.OrderBatch(
        journal_seq=claimed.seq,
        orders=[order_to_pb(order) for order in orders],
        traceparent=traceparent,
        received_ns=received_ns,
        claimed_ns=claimed.claimed_ns,
        control_seq=control_seq,
    )


def open_entry(order: Order, day: int) -> OpenEntry:
    """What an entry that was just claimed sets aside; ``day`` counts from the epoch."""
    return OpenEntry(
        subscription_id=order.subscription_id,
        proxy=order.follower.proxy,
        condition_id=order.condition_id,
        asset_id=order.asset_id,
        copy_key=order.copy_key,
        money_micros=order.reserved_money_micros,
        day=day,
    )


def _record_key(job: Job, partition: int) -> str:
    key = job.trade.key
    text = f"{key.leader_tx}|{key.leader}|{key.asset_id}|{key.side}|{partition}|{job.cause}"
    if job.part is not None:
        text += "|" + ",".join(job.part.ids)
    return "router:" + hashlib.sha256(text.encode()).hexdigest()
