"""Plan and commit for one leader trade: what the plan was made of is what becomes durable.

The caller holds the writing lock. Followers and the control number they are good for are taken
together, here, after every wait: a pause that commits later is seen by the executor's gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import psycopg
import structlog
from opentelemetry import metrics

from services.router import store
from services.router.core.exit_plan import plan_exits, switched_off
from services.router.core.memory import Memory
from services.router.core.noting import Note, note, take_back
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
from services.router.jobs import Entries, Job, claim_of, order_batch
from services.router.settings import Settings
from services.router.turns import FEWEST, PIECE, Share
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

_log = structlog.get_logger("router.claiming")
_meter = metrics.get_meter("tradingtools.router")
_decisions = _meter.create_counter("decisions", description="by outcome and reason")
_claim_ms = _meter.create_histogram("claim_ms", unit="ms", description="plan and commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What came of claiming several buys together."""

    claimed: int
    """Of them, from the first."""
    behind: bool
    """Some had been claimed before: memory has to catch up with the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A judgement that is noted and not durable yet."""

    job: Job
    plan: Plan
    claim: Claim
    noted: Note


class Claimer:
    """Makes plans durable and hands their orders on.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        memory: what the router knows; what is not durable in the end is taken back.
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

    async def claim_together(
        self, buys: Sequence[Entries], hurried: Callable[[], bool]
    ) -> Progress:
        """Judge buys that have come together, each as if those before were durable, and commit.

        Args:
            buys: of distinct leader trades, in their order.
            hurried: whether somebody waits who is soon done; then some are left for the next time.

        Raises:
            Fenced: the partition is another's.
            psycopg.OperationalError: not committed as far as is known; memory is as before.
        """
        started = clock.monotonic_ns()
        drafts: list[_Draft] = []
        with ExitStack() as under_way:
            async with self._pool.connection() as connection:
                try:
                    async for draft in self._drafts(buys, hurried):
                        drafts.append(draft)
                        under_way.enter_context(self._memory.under_way(draft.job.trade))
                    claims = [draft.claim for draft in drafts]
                    claimed = await journal.insert_claims(connection, self._lease, claims)
                except BaseException:
                    self._take_back(drafts)
                    raise
                # Committed: from here on a crash loses nothing, the executor finds the records.
                done = list(zip(drafts, claimed, strict=True))
                self._take_back([draft for draft, record in done if record is None])
                for draft, record in done:
                    self._memory.know(draft.job.trade)
                    if record is not None:
                        self._hand_on(draft.job, draft.plan, record)
                _claim_ms.record((clock.monotonic_ns() - started) / 1e6)
                empty = [r.seq for d, r in done if r is not None and not d.plan.orders]
                await self._build_rows(connection, empty)
        return Progress(claimed=len(done), behind=None in claimed)

    async def _drafts(
        self, buys: Sequence[Entries], hurried: Callable[[], bool]
    ) -> AsyncIterator[_Draft]:
        copies = seen = 0
        for entries in buys:
            if copies - seen >= PIECE:
                seen = copies
                await asyncio.sleep(0)
            if copies >= FEWEST and hurried():
                return
            yield self._draft(entries)
            copies += len(entries.part.ids)

    def _draft(self, entries: Entries) -> _Draft:
        """Judge a buy and note what comes of it, for the next one to see."""
        trade = self._memory.grown(entries.trade)
        with telemetry.span("router.claim", trade.traceparent, cause=entries.cause) as traceparent:
            job = Job(
                trade=trade,
                book=entries.book,
                cause=entries.cause,
                followers=self._subscriptions(entries.part),
                control_seq=self._memory.control_seq,
                traceparent=traceparent,
                part=entries.part,
            )
            plan = plan_entries(
                trade,
                [s for s in job.followers if s.state is not SubscriptionState.DELETED],
                self._memory.copies.get(trade.key, {}),
                self.context(trade, job.book, self._quiet_ms(job)),
            )
        claim = self._claim_of(job, plan)
        noted = note(self._memory, trade, plan, clock.now_ms())
        return _Draft(job=job, plan=plan, claim=claim, noted=noted)

    def _take_back(self, drafts: Sequence[_Draft]) -> None:
        for draft in reversed(drafts):
            take_back(self._memory, draft.noted)

    async def _build_rows(self, connection: Connection, records: Iterable[int]) -> None:
        """Rows of records that the executor is not told of; it finds them if this fails."""
        try:
            for seq in records:
                await journal.build_rows(connection, seq)
        except psycopg.OperationalError as error:
            _log.warning("rows not built", error=str(error).strip())

    def _followers(self, trade: LeaderTrade, share: Share | None) -> tuple[Subscription, ...]:
        if share is None:
            return self._memory.index.followers_of(trade.key.leader)
        return self._subscriptions(share.part)

    def _subscriptions(self, part: Part) -> tuple[Subscription, ...]:
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
            note(self._memory, job.trade, plan, clock.now_ms())
            self._hand_on(job, plan, claimed)
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
            note(self._memory, job.trade, plan, clock.now_ms())
            self._hand_on(job, plan, claimed)

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
        if not job.changes(plan):
            return None
        return await journal.insert_claim(connection, self._lease, self._claim_of(job, plan))

    def _claim_of(self, job: Job, plan: Plan) -> Claim:
        return claim_of(job, plan, self._lease.partition, self._memory.trade)

    def _hand_on(self, job: Job, plan: Plan, claimed: Claimed) -> None:
        for copy in plan.copies.values():
            _decisions.add(1, {"copied": copy.copied, "reason": str(copy.reason)})
        if plan.orders:
            batch = order_batch(
                claimed,
                plan.orders,
                control_seq=job.control_seq,
                traceparent=job.traceparent,
                received_ns=job.trade.received_ns,
            )
            self._tail.append(claimed.seq, batch)
