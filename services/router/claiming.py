"""Plan and commit for one leader trade: what the plan was made of is what becomes durable.

The caller holds the writing lock. Followers and the control number they are good for are taken
together, here, after every wait: a pause that commits later is seen by the executor's gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from opentelemetry import metrics

from services.router import jobs, store
from services.router.core.exit_plan import came_after, entry_ended, plan_exits, switched_off
from services.router.core.memory import Memory
from services.router.core.noting import note
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
from services.router.jobs import Job, order_batch
from services.router.settings import Settings
from services.router.turns import Share
from tradingtools.adapters import clock
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Claim, Claimed
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.adapters.postgres.prompt import Connection
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade, Side
from tradingtools.domain.subscription import Subscription, SubscriptionState
from tradingtools.runtime import telemetry
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb

_meter = metrics.get_meter("tradingtools.router")
_decisions = _meter.create_counter("decisions", description="by outcome and reason")
claim_ms = _meter.create_histogram("claim_ms", unit="ms", description="plan and commit")


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
                received_ns=jobs.received_ns(trade, cause),
                withdrawn=withdrawn,
                unsure=unsure,
            )
            if trade.key.side is Side.BUY:
                await self._claim_entries(job, share)
            else:
                await self._claim_exits(job)
        claim_ms.record((clock.monotonic_ns() - started) / 1e6)

    def _followers(self, trade: LeaderTrade, share: Share | None) -> tuple[Subscription, ...]:
        if share is None:
            return self._memory.index.followers_of(trade.key.leader)
        return self.subscriptions(share.part)

    def subscriptions(self, part: Part) -> tuple[Subscription, ...]:
        return tuple(filter(None, map(self._memory.index.subscription, part.ids)))

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
        context = self.context(job.trade, job.book, self.quiet_ms(job))
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
            note(self._memory, job.trade, plan, clock.now_ms())
            self.hand_on(job, plan, claimed)
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
            known = await _up_to_date(connection, self._memory.copies.get(job.trade.key, {}), real)
            not_for_it = await store.not_for_exits(connection, job.trade.key, known)
            for origin, (later, own) in not_for_it.items():
                if origin in real:
                    real[origin] = replace(real[origin], later_micros=later, own_micros=own)
            lots = self.lots_of(job.followers, asset, real)
            plan = plan_exits(
                job.trade,
                self._exiting(job, known, lots),
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
            note(self._memory, job.trade, plan, clock.now_ms())
            self.hand_on(job, plan, claimed)

    def _again(self, order: Withdrawn, known: Mapping[str, Copy]) -> dict[str, Copy]:
        before = known.get(order.subscription_id)
        now = self._memory.index.subscription(order.subscription_id)
        if before is None or now is None:
            return {}
        copy = decided_again(before, order, now)
        return {} if copy is None else {order.subscription_id: copy}

    def _entries_left(self, job: Job) -> list[str]:
        """Entries under way of followers, if this is the first judgement of the sell."""
        if job.trade.key in self._memory.trades:
            return []
        asset, known = job.trade.key.asset_id, self._memory.copies.get(job.trade.key, {})
        return sorted(
            order_key
            for s in job.followers
            if s.id not in known
            and switched_off(s) is None
            and not came_after(job.trade, s, self._settings.holding_age_ms)
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

    def _exiting(
        self, job: Job, known: Mapping[str, Copy], lots: Mapping[str, LotView]
    ) -> list[Subscription]:
        """What was judged once is judged to its end, whoever has been deleted meanwhile; who has
        come since has bought nothing that the leader sold."""
        if job.trade.key in self._memory.trades:
            return [s for s in job.followers if s.id in known]
        asset = job.trade.key.asset_id
        return [s for s in job.followers if self._follows_exits(s, asset, lots)]

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
            entry_least_ms=self._settings.entry_least_ms,
            exit_ttl_ms=self._settings.exit_ttl_ms,
            exposure=self._memory.exposures(trade, now_ms),
            entry_owner=self._memory.entry_owner.get,
            quiet_ms=quiet_ms,
            left_ms=self._memory.left_ms(trade),
            close_ms=self._settings.trade_close_ms,
            halts=self._memory.halts,
            holding_age_ms=self._settings.holding_age_ms,
        )

    def quiet_ms(self, job: Job) -> int | None:
        known = self._memory.trades.get(job.trade.key)
        if known is None or not jobs.about_rows(job.cause):
            return None
        return (job.trade.last_row_ns - known.last_row_ns) // 1_000_000

    async def _insert(self, connection: Connection, job: Job, plan: Plan) -> Claimed | None:
        """Insert the record; None when the judgement changes nothing that is not durable."""
        if not job.changes(plan):
            return None
        return await journal.insert_claim(connection, self._lease, self.claim_of(job, plan))

    def claim_of(self, job: Job, plan: Plan) -> Claim:
        return jobs.claim_of(job, plan, self._lease.partition, self._memory.trade)

    def hand_on(self, job: Job, plan: Plan, claimed: Claimed) -> None:
        for copy in plan.copies.values():
            _decisions.add(1, {"copied": copy.copied, "reason": str(copy.reason)})
        if plan.orders:
            batch = order_batch(
                claimed,
                plan.orders,
                control_seq=job.control_seq,
                traceparent=job.traceparent,
                received_ns=job.received_ns,
            )
            self._tail.append(claimed.seq, batch)


async def _up_to_date(
    connection: Connection, known: Mapping[str, Copy], lots: Mapping[str, LotView]
) -> Mapping[str, Copy]:
    """Copies of a sell with the ends of orders that they await, told by now or not: the lots have
    them, and a slice must not be for shares that were not bought after all."""
    missing = [
        order.order_key
        for origin, copy in known.items()
        for order in copy.awaited
        if origin not in lots or not lots[origin].has_open(order.order_key)
    ]
    ended = await store.ended_of(connection, missing)
    found = dict(known)
    for order_key, (origin, filled_micros) in ended.items():
        if origin in found:
            found[origin] = entry_ended(found[origin], order_key, filled_micros=filled_micros)
    return found
