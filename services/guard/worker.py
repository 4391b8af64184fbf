"""Marks and fills in, exits out.

Mark -> judge (core) -> one transaction: trigger TRIGGERED, shares reserved, exit claimed -> stream.
A crash before the commit fires nothing; after it, the executor finds the claim, and the trigger is
found closing. One writer: all changes go through one lock.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import structlog
from opentelemetry import metrics

from services.guard import following, store
from services.guard.claiming import Claim, Claims, Decide, Moved, Outcome, Row
from services.guard.closing import Closing
from services.guard.core import telling
from services.guard.core import trigger as judging
from services.guard.core.superseding import superseded
from services.guard.core.trigger import Judgement, Trigger
from services.guard.known import Known, LotKey, lot_of
from services.guard.settings import Settings
from services.guard.store import Change
from tradingtools.adapters import clock
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Connection
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.book import Book
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import MANUAL
from tradingtools.runtime.books import Books
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_log = structlog.get_logger("guard")
_meter = metrics.get_meter("tradingtools.guard")
_LOADED_AT_ONCE = 500
"""Triggers; then the lease may be renewed."""
_fired = _meter.create_counter("triggers_fired", description="by type")


class Guard:
    """One partition's triggers.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        books: newest books.
        tail: where claimed exits go.
        settings: of the process.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        books: Books,
        tail: Tail[pb.OrderBatch],
        settings: Settings,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._known = Known(lease.partition, settings.partitions)
        self._claims = Claims(lease, tail, settings)
        self._closing = Closing(books, self._claims)
        self._eager: set[str] = set()
        self._writing = asyncio.Lock()

    async def recover(self) -> None:
        """Rebuild memory from PostgreSQL."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=None)
        self._claims.control_seq = (await store.fetch(self._pool, "control_seq"))[0]["seq"]
        await self._load_halts()
        for row in await store.fetch(self._pool, "held_lots"):
            key = (row["follower_proxy"], row["asset_id"], row["origin"])
            self._known.put_lot(key, row["shares_micros"])
        for number, row in enumerate(await store.fetch(self._pool, "live_triggers")):
            self._known.put(store.trigger(row))
            if number % _LOADED_AT_ONCE == 0:
                await asyncio.sleep(0)
        for key in self._known.lots_by_default():
            await self._open(key)

    async def refresh(self) -> None:
        """Load what the control surface has changed, and judge it at once."""
        seq = (await store.fetch(self._pool, "control_seq"))[0]["seq"]
        before = self._claims.control_seq
        if seq == before:
            return
        eased = await self._load_halts()
        rows = await store.fetch(self._pool, "changed_triggers", after=before)
        for row in rows:
            known = self._known.get(row["id"])
            if known is None or known.version < row["version"]:
                self._known.put(store.trigger(row))
        self._claims.control_seq = seq
        for row in await store.fetch(self._pool, "told_lots", after=before):
            await self._take_lot(
                (row["follower_proxy"], row["asset_id"], row["origin"]), row["shares_micros"]
            )
        touched = self._known.all() if eased else [row["id"] for row in rows]
        for trigger in self._known.in_turn(touched):
            await self._wake(trigger.id)

    async def _take_lot(self, key: LotKey, shares: int) -> None:
        """A caller has said how large a lot is that was bought by hand."""
        self._known.put_lot(key, shares)
        for trigger in self._known.of_lot(key):
            await self._follow_lot(trigger, shares)

    async def _load_halts(self) -> bool:
        """Read the halts; returns whether one has ended."""
        rows = await store.fetch(self._pool, "halts")
        halts = frozenset((row["scope"], row["subject"]) for row in rows)
        eased = bool(self._claims.halts - halts)
        self._claims.halts = halts
        return eased

    async def _change(self, trigger_id: str, decide: Decide) -> None:
        """Change a trigger under lock; memory and stream learn of it once it is committed.

        A commit that fails leaves memory as it was; if it happened after all, the next look finds
        the row, and the executor finds the claim.
        """
        async with self._writing:
            async with store.locked(self._pool, trigger_id) as (connection, row, lot):
                outcome = await decide(connection, row, lot)
            self._known.put(outcome if isinstance(outcome, Trigger) else outcome.trigger)
            if isinstance(outcome, Claim):
                # Still under the lock, so that the stream keeps the journal's order.
                self._claims.stream(outcome)
            if isinstance(outcome, Moved):
                for other in outcome.others:
                    self._known.put(other)
                    self._eager.add(other.id)

    async def on_book(self, book: Book) -> None:
        """Judge the triggers that an asset's newest book may move, stop-losses first."""
        for trigger in self._known.moved_by(book):
            await self._judge(trigger.id, book)

    async def _judge(self, trigger_id: str, book: Book) -> None:
        trigger = self._known.get(trigger_id)
        if trigger is None:
            return
        now_ms = clock.now_ms()
        verdict = judging.judge(trigger, self._known.shares(lot_of(trigger)), book, now_ms)
        if verdict is Judgement.NOTHING:
            return
        if verdict in (Judgement.NOTE, Judgement.UNNOTE):
            tick = judging.tick_of(book) if verdict is Judgement.NOTE else None
            self._known.put(replace(trigger, tick=tick))
            return

        async def obey(connection: Connection, row: Row, locked: Row | None) -> Outcome:
            now = replace(store.trigger(row), tick=trigger.tick)
            return await self._obey(connection, now, row, locked, verdict, book, now_ms)

        try:
            await self._change(trigger_id, obey)
        except psycopg.OperationalError as error:
            _log.warning("not judged; judged again soon", error=str(error).strip())
        now = self._known.get(trigger_id)
        if verdict is Judgement.ARM and now is not None and now.status is TriggerStatus.ARMED:
            await self._judge(trigger_id, book)
        elif now is not None and now.status is trigger.status:
            # It asked for something that could not be done: no mark may come in a quiet book.
            self._eager.add(trigger_id)
            self._known.put(replace(now, tick=trigger.tick))

    async def _obey(
        self,
        connection: Connection,
        now: Trigger,
        row: Row,
        lot: Row | None,
        verdict: Judgement,
        book: Book,
        now_ms: int,
    ) -> Outcome:
        # Judged again under lock: the caller may have changed price or size meanwhile.
        shares = lot["shares_micros"] if lot is not None else 0
        if judging.judge(now, shares, book, now_ms) is not verdict:
            return now
        if verdict is Judgement.FIRE and lot is not None:
            return await self._fire(connection, now, row, lot, book)
        if verdict is Judgement.RATCHET:
            return await _ratchet(connection, row, shares, book)
        change = {
            Judgement.SUSPEND: Change(
                status=TriggerStatus.SUSPENDED, detail=f"book is {book.status.value}"
            ),
            Judgement.ARM: Change(status=TriggerStatus.ARMED, detail="the book is good again"),
            Judgement.RESOLVE: Change(status=TriggerStatus.RESOLVED, detail=telling.payout(book)),
        }[verdict]
        return await store.move(connection, row, change)

    async def _fire(
        self, connection: Connection, now: Trigger, row: Row, lot: Row, book: Book
    ) -> Outcome:
        shares = lot["shares_micros"]
        through = judging.rungs_reached(now, shares, book)
        change = Change(
            status=TriggerStatus.TRIGGERED,
            detail=telling.fired(now, shares, book, through),
            slice_number=0,
            rungs_fired=through,
            basis_micros=judging.left(now, shares) if through else None,
        )
        if now.basis_micros is not None:
            change = replace(change, basis_micros=now.basis_micros)
        outcome = await self._claims.claim(
            connection,
            row,
            lot,
            book,
            change,
            wanted_micros=judging.next_size(now, shares, through),
            tried=0,
        )
        if isinstance(outcome, Claim):
            _fired.add(1, {"type": row["trigger_type"]})
        return outcome

    async def on_fill(self, fill: confirm_pb.FillEvent) -> None:
        """Keep lots; arm, cancel, settle or judge again the triggers of the lot."""
        key = (fill.follower_proxy, fill.asset_id, fill.subscription_id or MANUAL)
        # No more than this fill: the lot was empty before, or short of what came undone.
        opens = fill.side == pb.SIDE_BUY and 0 < fill.lot_shares_micros <= fill.size_micros
        if opens and fill.kind == confirm_pb.FILL_KIND_MATCHED:
            await self._open(key)
        self._known.put_lot(key, fill.lot_shares_micros)
        if fill.kind == confirm_pb.FILL_KIND_RESOLVED:
            for trigger_id in [trigger.id for trigger in self._known.of_lot(key)]:
                await self._change(trigger_id, following.end_resolved)
            return
        if fill.kind == confirm_pb.FILL_KIND_CLOSED and fill.trigger_id:
            await self._change(fill.trigger_id, self._closing.settle)
        for trigger_id in [trigger.id for trigger in self._known.of_lot(key)]:
            now = self._known.get(trigger_id)
            # None: it ended while another one of the lot was judged.
            if now is not None:
                await self._follow_lot(now, fill.lot_shares_micros)
                await self._wake(trigger_id)

    async def _open(self, key: LotKey) -> None:
        """Take over the triggers that were made with a position; end those of the one before."""
        rows = await store.fetch(self._pool, "lot_triggers", **store.lot_key(key))
        triggers = [store.trigger(row) for row in rows]
        for trigger in triggers:
            known = self._known.get(trigger.id)
            if known is None or known.version < trigger.version:
                self._known.put(trigger)

        for trigger in superseded(triggers):
            await self._change(trigger.id, following.end_superseded)

    async def _follow_lot(self, trigger: Trigger, shares: int) -> None:
        decide = following.follow(trigger, shares)
        if decide is not None:
            await self._change(trigger.id, decide)

    async def _wake(self, trigger_id: str) -> None:
        """Judge a trigger on the lot and the book that are known already."""
        trigger = self._known.get(trigger_id)
        if trigger is None:
            return
        shares = self._known.shares(lot_of(trigger))
        if trigger.status is TriggerStatus.WAITING and shares > 0:
            await self._follow_lot(trigger, shares)
        book = self._books.known(trigger.asset_id)
        if book is not None:
            await self._judge(trigger_id, book)

    async def look_again(self) -> None:
        """What no mark and no fill wakes: ended exits, due slices, wishes that could not be met."""
        for row in await store.fetch(self._pool, "closing"):
            await self._change(row["id"], self._closing.settle)
        for row in await store.fetch(self._pool, "unresolved"):
            await self._change(row["id"], self._closing.show_outcome)
        eager, self._eager = self._eager | self._known.due(clock.now_ms()), set()
        for trigger in self._known.in_turn(eager):
            await self._wake(trigger.id)


async def _ratchet(connection: Connection, row: Row, shares: int, book: Book) -> Trigger:
    now = store.trigger(row)
    sale = judging.sale_of(now, shares, book)
    peak = judging.new_peak(now, sale) if sale is not None else None
    if peak is None:
        return now
    told = telling.ratcheted(now, peak) if judging.worth_telling(now, peak) else None
    return await store.ratchet(connection, row, peak, told)
