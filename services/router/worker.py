"""Leader trades in, claims out.

Read facts -> merge -> plan (core) -> commit -> stream on -> acknowledge. A crash before the commit
repeats the read; a crash after it repeats the plan, whose record is there already. One writer: all
claims of the partition go through one lock, so memory and journal never disagree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

import psycopg
import structlog

from services.router import recovery, store
from services.router.batch_claimer import BatchClaimer
from services.router.bookings import Bookings
from services.router.claim_records import BatchableBuy, rows_cause
from services.router.claim_scheduler import MIN_PART, PartProgress, group_trades
from services.router.claim_writer import ClaimWriter
from services.router.claimer import Claimer
from services.router.core import doubtful_book
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits
from services.router.core.ledger import DAY_MS
from services.router.core.records import Part, Plan, StaleEntry
from services.router.core.router_state import RouterState
from services.router.core.trade_age import nobody_in_time
from services.router.deferred_entries import DeferredEntries
from services.router.ledger_sync import LedgerSync
from services.router.open_exits import OpenExits
from services.router.recorder import Recorder
from services.router.reevaluation import Reevaluator
from services.router.resyncing import Resyncs, Shared
from services.router.settings import Settings
from tradingtools import clock
from tradingtools.codec.leader_trades import row_from_pb
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, TradeKey, merge
from tradingtools.domain.subscription import Subscription
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.venues.ports import OrderBody

_log = structlog.get_logger("router")

_BALANCE_SECONDS = 2.0
_BALANCE_OVERLAP_SECONDS = 10.0
_RECALLED_MS = 600_000
"""How much younger a trade may be than what is remembered: decided, and forgotten for another's
clock."""


class Router:
    """One partition's decisions.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        books: newest books.
        tail: where committed batches go.
        settings: of the process.
        body_of: writes the bodies of orders.
        claims: connections for claims alone; None: those of ``pool``.
        recorder: keeps what is judged; None: nobody does.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        books: Books,
        tail: Tail[pb.OrderBatch],
        settings: Settings,
        *,
        body_of: OrderBody,
        claims: Pool | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._settings = settings
        self._state = RouterState()
        self._ledger_sync = LedgerSync(pool, self._state)
        claims = claims or pool
        self._claimer = Claimer(claims, lease, self._state, tail, settings, body_of, recorder)
        self._claim_lock = asyncio.Lock()
        self._writer = ClaimWriter(
            self._claimer,
            BatchClaimer(claims, lease, self._state, self._claimer),
            self._state,
            self._claim_lock,
            self._catch_up,
            settings.claimed_together,
        )
        self._refreshing = asyncio.Lock()
        shared = Shared(
            state=self._state,
            claim_lock=self._claim_lock,
            refresh=self.refresh_index,
            catch_up=self._writer.know_what_is_durable,
            body_of=body_of,
        )
        self.resyncs = Resyncs(pool, lease, books, tail, settings, shared)
        self.exits = OpenExits(self._state, self._route)
        self.deferred_entries = DeferredEntries(self._state, self._books_known, self._judge_waiting)
        self.reevaluator = Reevaluator(
            pool, lease.partition, self._state, self._restore_forgotten, self._decide_again
        )
        self.bookings = Bookings(
            self._state,
            self._ledger_sync,
            self.exits,
            self._claim_lock,
            self._writer.know_what_is_durable,
            self.reevaluator.reevaluate,
        )

    @property
    def state(self) -> RouterState:
        """Return what the router knows."""
        return self._state

    async def recover(self) -> None:
        """Rebuild memory from PostgreSQL."""
        await self.refresh_index()
        await self._catch_up()
        await self.reevaluator.recover()

    async def _catch_up(self) -> None:
        """Take over what is durable; every record of the partition has its rows before."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=None)
        await recovery.recover(self._pool, self._lease.partition, self._state, self._ledger_sync)

    async def refresh_index(self) -> None:
        """Load what has changed in the control surface."""
        # One at a time: an older look must not overwrite what a newer one has found.
        async with self._refreshing:
            state, after = self._state, self._state.control_seq
            seq, changed = await store.changed_subscriptions(self._pool, after)
            fundings = await store.changed_fundings(self._pool, after)
            # Halts come and go with a change, too.
            halts = state.halts if seq == after else await store.halts(self._pool)
            await self._ledger_sync.fund(fundings)
            for subscription in changed:
                owner = ids.partition_of(subscription.follower.proxy, self._settings.partitions)
                if owner == self._lease.partition:
                    state.index.put(subscription)
            eased = state.halts - halts
            state.halts, state.control_seq = halts, seq
            for key in state.exits_without_halt() if eased else ():
                self.exits.judge_in(key, 0)

    def expect(self, message: ingest_pb.StreamLeaderTradesResponse) -> None:
        """Begin to ask for the books that a message's trades will wait for.

        It may be a while until they are routed: a leader's trades are, one after the other, and
        each would wait for its own book.
        """
        for event in message.trades:
            followers = self._state.index.followers_of(event.leader)
            if not followers or not self._books.wanting(event.asset_id, levels=True):
                continue
            if event.side == pb.SIDE_SELL:
                waits = self._sells(event.asset_id, followers)
            else:
                least_ms = self._settings.entry_least_ms
                waits = any(map(doubtful_book.needs_levels, followers)) and not nobody_in_time(
                    event.traded_ms, followers, clock.now_ms(), least_ms
                )
            if waits:
                self._books.begin(event.asset_id, event.condition_id)

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
        facts = list(facts)
        with self._state.using([fact.key for fact in facts]):
            await self._restore(facts)
            await self._on_facts(facts)

    async def _restore(self, facts: Sequence[LeaderRow]) -> None:
        """Remember what was decided about trades of long ago: who tells of them may begin again."""
        oldest = clock.now_ms() - store.RECENT_SECONDS * 1000
        old = {fact.key for fact in facts if fact.traded_ms < oldest + _RECALLED_MS}
        if old.difference(self._state.trades):
            await self._restore_forgotten(*old)

    async def _restore_forgotten(self, *keys: TradeKey) -> None:
        async with self._claim_lock:
            # Somebody else may have recalled them before this one.
            forgotten = set(keys).difference(self._state.trades)
            if forgotten:
                # What is known of their copies may be newer than rows that are yet to be built.
                partition = self._lease.partition
                await journal.build_open_rows(self._pool, partition, older_than_seconds=None)
            await recovery.restore(self._pool, self._lease.partition, self._state, forgotten)

    async def _on_facts(self, facts: Sequence[LeaderRow]) -> None:
        changed: dict[TradeKey, LeaderTrade] = {}
        for fact in facts:
            known = changed.get(fact.key) or self._state.trades.get(fact.key)
            merged = merge(known, fact)
            if merged is not None:
                changed[fact.key] = merged
        if len(changed) > 1:
            # Books that are not in memory yet are requested together, not one after the other.
            by_asset = {
                key.asset_id: trade for key, trade in changed.items() if not self._too_old(trade)
            }
            await asyncio.gather(*(self._book(trade, levels=False) for trade in by_asset.values()))
        failed: list[Exception] = []
        most = self._settings.claimed_together
        for trades in group_trades(changed.values(), self._copies_of, most):
            try:
                await self._route_rows(trades)
            except Fenced:
                raise
            except ExceptionGroup as group:
                failed.extend(group.exceptions)
            except Exception as error:  # noqa: BLE001 - one trade must not hold up the others
                failed.append(error)
        if failed:
            raise ExceptionGroup("leader trades that could not be routed", failed)

    def _too_old(self, trade: LeaderTrade) -> bool:
        """Return whether it is a buy that is entered for nobody any more, however its book is."""
        # Copies that are begun have their own settings.
        if trade.key.side is Side.SELL or trade.key in self._state.copies:
            return False
        followers = self._state.index.followers_of(trade.key.leader)
        least_ms = self._settings.entry_least_ms
        return nobody_in_time(trade.traded_ms, followers, clock.now_ms(), least_ms)

    def _copies_of(self, trade: LeaderTrade) -> int | None:
        """Return the number of copies of a buy with few followers who wait for no book; None:
        the trade is claimed by itself."""
        followers = self._state.index.followers_of(trade.key.leader)
        few = trade.key.side is Side.BUY and 0 < len(followers) <= MIN_PART
        if (
            not few
            or doubtful_book.split_by_need(followers, trade, self._books.known(trade.key.asset_id))[
                1
            ]
        ):
            return None
        return len(followers)

    async def _route_rows(self, trades: Sequence[LeaderTrade]) -> None:
        if len(trades) == 1:
            await self._route(trades[0], rows_cause(trades[0]))
            return
        followers = self._state.index.followers_of(trades[0].key.leader)
        part = Part(ids=tuple(s.id for s in followers))
        await self._writer.claim_batch(
            [
                BatchableBuy(
                    trade=trade,
                    newest_book=partial(self._seen, trade),
                    cause=rows_cause(trade),
                    part=part,
                )
                for trade in trades
            ]
        )
        for trade in trades:
            self.deferred_entries.follow(trade)

    async def _decide_again(self, trade: LeaderTrade, order: StaleEntry) -> None:
        """Judge an entry by the changed subscription that had refused it."""
        # The change is committed, or it could not have refused the order: now it is known here.
        await self.refresh_index()
        await self._route(trade, f"changed-{order.order_key}", order)

    async def follow_balances(self) -> None:
        """Take over what insiders-api reports of wallets, for ever."""
        read = clock.monotonic()
        while True:
            await asyncio.sleep(_BALANCE_SECONDS)
            since, read = read, clock.monotonic()
            try:
                await self._ledger_sync.read_balances(
                    seconds=read - since + _BALANCE_OVERLAP_SECONDS
                )
            except psycopg.OperationalError as error:
                read = since
                _log.warning("balances not read", error=str(error).strip())

    async def _route(self, trade: LeaderTrade, cause: str, stale: StaleEntry | None = None) -> None:
        followers = self._state.index.followers_of(trade.key.leader)
        if not followers:
            return
        if trade.key.side is Side.SELL or stale is not None:
            # Where nothing can be sold, no trade behind this one waits for a book.
            sells = stale is not None or self._sells(trade.key.asset_id, followers)
            book = await self._book(trade, levels=sells)
            await self._writer.claim(trade, book, cause, brief=True, stale=stale)
        else:
            await self._route_buy(trade, cause, followers)
        if trade.key.side is Side.SELL:
            self.exits.follow(trade.key)
        else:
            self.deferred_entries.follow(trade)

    async def _route_buy(
        self, trade: LeaderTrade, cause: str, followers: Sequence[Subscription]
    ) -> None:
        """Claim a buy: at once for whom the market's rules are enough, then for who wants a book.

        A crash between the two leaves the trade unknown: it is reported again, and the first ones,
        whose copies are durable, want nothing more.
        """
        # No book is requested for what is skipped in any case.
        late = self._too_old(trade)
        if late:
            book = self._books_known(trade.key.asset_id)
        else:
            book = await self._book(trade, levels=all(map(doubtful_book.needs_levels, followers)))
        now, later = (
            (followers, ()) if late else doubtful_book.split_by_need(followers, trade, book)
        )
        with self._state.under_way(trade):
            if now:
                seen = None if book is None else doubtful_book.cautious(trade, book)
                ids = tuple(s.id for s in now)
                await self._writer.claim_in_parts(trade, seen, cause, ids, last=not later)
            if later:
                book = await self._book(trade)
                ids = tuple(s.id for s in later)
                await self._writer.claim_in_parts(trade, book, cause, ids)

    def _sells(self, asset_id: str, followers: Sequence[Subscription]) -> bool:
        """Return whether some follower may have shares to sell after a leader's sell."""
        ledger = self._state.ledger
        return any(
            ledger.holds(s.id, asset_id) or ledger.entry_open(s.id, asset_id) for s in followers
        )

    async def _book(self, trade: LeaderTrade, *, levels: bool = True) -> Book | None:
        return await self._books.get(
            trade.key.asset_id, condition_id=trade.condition_id, levels=levels
        )

    def _books_known(self, asset_id: str) -> Book | None:
        return self._books.known(asset_id)

    def _seen(self, trade: LeaderTrade) -> Book | None:
        """Return the newest book in memory, made cautious for a decision."""
        book = self._books.known(trade.key.asset_id)
        return None if book is None else doubtful_book.cautious(trade, book)

    async def _judge_waiting(self, trade: LeaderTrade, ids: Sequence[str]) -> None:
        """Judge entries again that have waited for a good book."""
        progress = PartProgress(Part(ids=tuple(ids), last=False), lambda: False, droppable=False)
        cause = f"book-{clock.now_ns()}"
        await self._writer.claim(trade, self._seen(trade), cause, brief=True, progress=progress)

    def forget_old(self, now_ms: int) -> None:
        """Drop leader trades that cannot grow any more."""
        if self._claim_lock.locked():
            # A claim writes back what it has read; there is a next time.
            return
        self._state.forget_before(now_ms - store.RECENT_SECONDS * 1000)
        self._state.ledger.forget_days_before(now_ms // DAY_MS)

    async def preview(
        self, fact: LeaderRow, subscription_ids: frozenset[str], book: Book | None
    ) -> Plan:
        """Return what a fact would lead to, without doing it; sells read the lots as they are."""
        trade = merge(None, fact)
        if trade is None:
            raise AssertionError("a first fact always adds something")
        followers = [
            s
            for s in self._state.index.followers_of(fact.key.leader)
            if not subscription_ids or s.id in subscription_ids
        ]
        context = self._claimer.context(trade, book)
        if fact.key.side is Side.BUY:
            return plan_entries(trade, followers, {}, context)
        origins = [s.id for s in followers]
        real = await store.lots_now(self._pool, fact.key.asset_id, origins)
        async with self._pool.connection() as connection:
            _, lots = await self._claimer.known_and_lots(connection, trade, followers, real)
        return plan_exits(trade, followers, {}, lots, context)
