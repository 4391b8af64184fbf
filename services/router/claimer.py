"""Plan and commit one leader trade: what is planned is what becomes durable.

The caller holds the claim lock. Followers and their control number are read together here, after
every wait: the executor's gate sees a pause that commits later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.router import claim_records, store
from services.router.claim_records import ClaimRequest, order_batch
from services.router.claim_scheduler import PartProgress
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import (
    came_after,
    entry_ended,
    plan_exits,
    switched_off,
    with_sell,
)
from services.router.core.judgement import Inputs
from services.router.core.records import (
    Context,
    Copy,
    ExitProgress,
    LotView,
    Part,
    Plan,
    StaleEntry,
    without_stale_entry,
)
from services.router.core.router_state import RouterState
from services.router.core.state_updates import apply
from services.router.recorder import Recorder
from services.router.settings import Settings
from tradingtools import clock
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.exit_price import Widening
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription, SubscriptionState
from tradingtools.rpc.streams import Tail
from tradingtools.runtime import instruments, telemetry
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.journal import Claim, Claimed
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.ports import OrderBody

_decisions = instruments.counter(
    "tradingtools.router",
    "decisions",
    "by outcome and reason",
    instruments.each(copied=(True, False), reason=map(str, Reason)),
)
_doubtful = instruments.counter(
    "tradingtools.router",
    "doubtful_books",
    "decisions on buys whose book said nothing of depth and spread",
    instruments.each(
        book=[str(status) for status in BookStatus if status is not BookStatus.FRESH],
        copied=(True, False),
    ),
)
_hop = instruments.Histogram(
    "order_hop_seconds",
    "decide: frame received to plan made; claim: to the claim's commit. Of claims with orders",
    label="hop",
    values=("decide", "claim"),
)


class Claimer:
    """Makes plans durable and hands their orders on.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        state: what the router knows; changed only after a commit.
        tail: where committed batches go.
        settings: of the process.
        body_of: writes the bodies of orders.
        recorder: keeps what is judged; None: nobody does.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        state: RouterState,
        tail: Tail[pb.OrderBatch],
        settings: Settings,
        body_of: OrderBody,
        recorder: Recorder | None = None,
    ) -> None:
        self._pool = pool
        self._recorder = recorder
        self._body_of = body_of
        self._lease = lease
        self._state = state
        self._tail = tail
        self._settings = settings

    async def claim(
        self,
        trade: LeaderTrade,
        book: Book | None,
        cause: str,
        *,
        stale: StaleEntry | None = None,
        progress: PartProgress | None = None,
        unsure: bool = False,
    ) -> None:
        """Judge a leader trade for its followers and commit what follows from it.

        Args:
            trade: as far as it is known.
            book: the newest of its asset.
            cause: what the claim is for.
            stale: the entry that is decided again, alone.
            progress: of the part that is claimed now; None: all followers.
            unsure: an earlier try may have committed.

        Raises:
            Fenced: the partition is another's.
            ClaimedBefore: an earlier try had committed unacknowledged; memory is behind.
            psycopg.OperationalError: not committed as far as is known; the same call again is safe.
        """
        with telemetry.span("router.claim", trade.traceparent, cause=cause) as traceparent:
            request = ClaimRequest(
                trade=trade,
                book=book,
                cause=cause,
                followers=self._followers(trade, progress),
                control_seq=self._state.control_seq,
                traceparent=traceparent,
                received_ns=claim_records.received_ns(trade, cause),
                stale=stale,
                unsure=unsure,
            )
            if trade.key.side is Side.BUY:
                await self._claim_entries(request, progress)
            else:
                await self._claim_exits(request)

    def _followers(
        self, trade: LeaderTrade, progress: PartProgress | None
    ) -> tuple[Subscription, ...]:
        if progress is None:
            return self._state.index.followers_of(trade.key.leader)
        return self.subscriptions(progress.part)

    def subscriptions(self, part: Part) -> tuple[Subscription, ...]:
        return tuple(filter(None, map(self._state.index.subscription, part.ids)))

    async def _claim_entries(self, request: ClaimRequest, progress: PartProgress | None) -> None:
        known = self._state.copies.get(request.trade.key, {})
        again = {} if request.stale is None else self._again(request.stale, known)
        if request.stale is not None and not again:
            return
        followers = {
            s.id: s
            for s in request.followers
            if s.id in again or (not again and s.state is not SubscriptionState.DELETED)
        }
        inputs = self.inputs(request)
        known = {**known, **again}
        inputs.judging((), known)
        if progress is None:
            plan = plan_entries(request.trade, followers.values(), known, inputs.context)
        else:
            plan = Plan()
            async for ids in progress.chunks():
                chunk = filter(None, map(followers.get, ids))
                plan = plan_entries(request.trade, chunk, known, inputs.context, plan)
            if not progress.part.ids:
                return
            request = replace(request, part=progress.part)
        inputs.plan = plan
        request = replace(request, inputs=inputs)
        # That it counts for nothing is durable also when nothing takes its place.
        plan = replace(plan, copies={**again, **plan.copies})
        async with self._pool.connection() as connection:
            claimed = await self._insert(connection, request, plan)
            if claimed is None:
                return
            # Committed: from here on a crash loses nothing, the executor finds the record.
            apply(self._state, request.trade, plan, clock.now_ms())
            self.hand_on(request, plan, claimed)
            if not plan.orders:
                await journal.build_rows(connection, claimed.seq)

    async def _claim_exits(self, request: ClaimRequest) -> None:
        asset = request.trade.key.asset_id
        entries = self._entries_left(request)
        if entries:
            # Now, and not under the lock, which holds up the executor.
            partition = self._lease.partition
            await journal.build_open_rows(self._pool, partition, older_than_seconds=None)
        async with store.exiting(self._pool) as connection:
            # Whatever is still CLAIMED fails here and was never sent; the rest is awaited.
            left = await store.leader_left(connection, self._lease.partition, entries)
            real = await store.locked_lots(connection, asset, [s.id for s in request.followers])
            known, lots = await self.known_and_lots(
                connection, request.trade, request.followers, real
            )
            exiting = self._exiting(request, known, lots)
            inputs = self.inputs(request)
            inputs.judging(exiting, known, lots)
            plan = plan_exits(request.trade, exiting, known, lots, inputs.context)
            inputs.plan = plan
            request = replace(request, inputs=inputs)
            plan = replace(
                plan,
                left={**plan.left, **self._state.left(left)},
                left_orders=tuple(left),
            )
            # A crash from here to the commit leaves nothing: record, rows, reservation are one.
            claimed = await self._insert(connection, request, plan)
            if claimed is not None:
                await journal.build_rows(connection, claimed.seq)
        if claimed is not None:
            apply(self._state, request.trade, plan, clock.now_ms())
            self.hand_on(request, plan, claimed)

    def _again(self, order: StaleEntry, known: Mapping[str, Copy]) -> dict[str, Copy]:
        before = known.get(order.subscription_id)
        now = self._state.index.subscription(order.subscription_id)
        if before is None or now is None:
            return {}
        copy = without_stale_entry(before, order, now)
        return {} if copy is None else {order.subscription_id: copy}

    def _entries_left(self, request: ClaimRequest) -> list[str]:
        """Return followers' entries under way, if the sell is judged for the first time."""
        if request.trade.key in self._state.trades:
            return []
        asset, known = request.trade.key.asset_id, self._state.copies.get(request.trade.key, {})
        return sorted(
            order_key
            for s in request.followers
            if s.id not in known
            and switched_off(s) is None
            and not came_after(request.trade, s, self._settings.holding_age_ms)
            for order_key in self._state.ledger.open_entries(s.id, asset)
        )

    async def known_and_lots(
        self,
        connection: Connection,
        trade: LeaderTrade,
        followers: Iterable[Subscription],
        real: Mapping[str, LotView],
    ) -> tuple[Mapping[str, Copy], dict[str, LotView]]:
        """Return the copies of a sell so far and the lots that it is judged by, those on paper for
        shadows.

        Args:
            connection: in the transaction that holds the lots.
            trade: the sell, as far as it is known.
            followers: of its leader.
            real: the lots as they are.
        """
        key, state = trade.key, self._state
        lots = {origin: state.with_portions(origin, lot) for origin, lot in real.items()}
        lots |= {s.id: state.paper_lot(s.id, key.asset_id) for s in followers if s.settings.shadow}
        sells = await _up_to_date(
            connection,
            {**state.unsold(key.leader, key.asset_id), key: state.copies.get(key, {})},
            real,
        )
        standing = await store.standing_of(
            connection,
            [(sell, each) for sell, copies in sells.items() for each in copies if each in real],
        )
        for sell, copies in sells.items():
            for origin, copy in copies.items():
                if origin not in lots:
                    continue
                lot, stands = lots[origin], _standing(copy, standing.get(sell, {}).get(origin))
                if sell == key:
                    lots[origin] = replace(
                        lot,
                        later_micros=stands.later_micros,
                        own_micros=stands.own_micros,
                        sold_micros=stands.sold_micros,
                    )
                else:
                    reported, others = state.copies[sell][origin], state.trades[sell]
                    lots[origin] = with_sell(lot, others, reported, copy, stands)
        return sells[key], lots

    def _exiting(
        self, request: ClaimRequest, known: Mapping[str, Copy], lots: Mapping[str, LotView]
    ) -> list[Subscription]:
        """Return the followers of an exit: an exit that was judged once goes to its end,
        although its subscription is deleted; who came since has bought nothing that the leader
        sold."""
        if request.trade.key in self._state.trades:
            return [s for s in request.followers if s.id in known]
        asset = request.trade.key.asset_id
        return [s for s in request.followers if self._follows_exits(s, asset, lots)]

    def _follows_exits(
        self, subscription: Subscription, asset_id: str, lots: Mapping[str, LotView]
    ) -> bool:
        return (
            subscription.state is not SubscriptionState.DELETED
            or subscription.id in lots
            or self._state.ledger.entry_open(subscription.id, asset_id)
        )

    def context(
        self, trade: LeaderTrade, book: Book | None, quiet_ms: int | None = None
    ) -> Context:
        """Return what a plan depends on besides the trade, now."""
        now_ms = clock.now_ms()
        return Context(
            book=book,
            now_ms=now_ms,
            entry_ttl_ms=self._settings.entry_ttl_ms,
            entry_least_ms=self._settings.entry_least_ms,
            exit_ttl_ms=self._settings.exit_ttl_ms,
            exposure=self._state.exposures(trade, now_ms),
            entry_owner=self._state.entry_owner.get,
            body_of=self._body_of,
            quiet_ms=quiet_ms,
            leader=self._state.leaders.get(trade.key.leader),
            left_ms=self._state.left_ms(trade),
            close_ms=self._settings.trade_close_ms,
            halts=self._state.halts,
            widening=Widening(self._settings.shared.exit_floor_ppm),
            holding_age_ms=self._settings.holding_age_ms,
        )

    def quiet_ms(self, request: ClaimRequest) -> int | None:
        known = self._state.trades.get(request.trade.key)
        if known is None or not claim_records.about_rows(request.cause):
            return None
        return (request.trade.last_row_ns - known.last_row_ns) // 1_000_000

    async def _insert(
        self, connection: Connection, request: ClaimRequest, plan: Plan
    ) -> Claimed | None:
        """Insert the record; None when the judgement changes nothing that is not durable."""
        if not request.changes(plan):
            return None
        claim = self.claim_of(request, plan)
        self.record(request, claim)
        return await journal.insert_claim(connection, self._lease, claim)

    def inputs(self, request: ClaimRequest) -> Inputs:
        """Return what a plan depends on besides the trade, now, for the plan and its record."""
        quiet_ms = self.quiet_ms(request) if request.trade.key.side is Side.BUY else None
        context = self.context(request.trade, request.book, quiet_ms)
        return Inputs(context) if self._recorder is None else Inputs.of(context)

    def record(self, request: ClaimRequest, claim: Claim) -> None:
        """Note a judgement, which is written when its orders are on their way."""
        if self._recorder is not None and request.inputs is not None:
            self._recorder.note(request.trade, request.inputs, claim)

    def claim_of(self, request: ClaimRequest, plan: Plan) -> Claim:
        return claim_records.claim_of(request, plan, self._lease.partition, self._state.trade)

    def hand_on(self, request: ClaimRequest, plan: Plan, claimed: Claimed) -> None:
        for copy in plan.copies.values():
            _decisions.add(1, {"copied": copy.copied, "reason": str(copy.reason)})
        doubtful = request.book is not None and not request.book.usable
        if request.trade.key.side is Side.BUY and request.book is not None and doubtful:
            for copy in plan.copies.values():
                _doubtful.add(1, {"book": str(request.book.status), "copied": copy.copied})
        if plan.orders:
            batch = order_batch(
                claimed,
                plan.orders,
                control_seq=request.control_seq,
                traceparent=request.traceparent,
                received_ns=request.received_ns,
            )
            self._tail.append(claimed.seq, batch)
            _observe(request, claimed)


def _observe(request: ClaimRequest, claimed: Claimed) -> None:
    """Take the hops of a claim, which is on its way by now."""
    trace = request.traceparent
    _hop.observe_ns(claimed.routed_ns - request.received_ns, "decide", trace)
    _hop.observe_ns(claimed.claimed_ns - claimed.routed_ns, "claim", trace)


def _standing(copy: Copy, standing: ExitProgress | None) -> ExitProgress:
    """Return how an exit stands; what is on paper has no rows but its own."""
    if copy.shadow:
        return ExitProgress(sold_micros=-copy.paper_size_micros)
    return standing or ExitProgress()


Sells = Mapping[TradeKey, Mapping[str, Copy]]
"""Copies of leaders' sells, by trade and subscription."""


async def _up_to_date(connection: Connection, sells: Sells, lots: Mapping[str, LotView]) -> Sells:
    """Return copies of sells with the ends of the orders that they await, reported or not: the lots
    have them, and no slice may be for shares that were not bought after all."""
    missing = {
        order.order_key
        for copies in sells.values()
        for origin, copy in copies.items()
        for order in copy.awaited
        if origin not in lots or not lots[origin].has_open(order.order_key)
    }
    ended = await store.ended_of(connection, sorted(missing))
    found = {key: dict(copies) for key, copies in sells.items()}
    for copies in found.values():
        for order_key, (origin, filled_micros) in ended.items():
            if origin in copies:
                copies[origin] = entry_ended(copies[origin], order_key, filled_micros=filled_micros)
    return found
