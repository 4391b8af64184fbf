"""Marks and fills in, exits out.

Marks -> judge (core) -> one transaction for all that fires: triggers TRIGGERED, shares reserved,
exits claimed -> stream. A crash before the commit fires nothing; after it, the executor finds the
claim, and the triggers are found closing. One writer: all changes go through one lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
import structlog

from services.guard import compaction, lot_sync, store
from services.guard.bookings import begins, lot_of_booking
from services.guard.claiming import Claims, Decide
from services.guard.compaction import Compaction
from services.guard.core.batches import PATIENT
from services.guard.core.book_quality import BadBooks
from services.guard.core.superseding import superseded
from services.guard.core.trigger import LotKey, Trigger, lot_of
from services.guard.evaluation import Evaluator
from services.guard.exit_lifecycle import ExitLifecycle
from services.guard.high_water_marks import HighWaterMarks
from services.guard.settings import Settings
from services.guard.trailing import TrailingStops
from services.guard.trigger_cache import TriggerCache
from services.guard.trigger_transactions import Writer
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.halts import halts_of
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import MANUAL
from tradingtools.rpc.streams import Tail
from tradingtools.runtime import instruments
from tradingtools.runtime.books import Books
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.venues.ports import OrderBody

_log = structlog.get_logger("guard")
_stuck = instruments.level(
    "tradingtools.guard", "triggers_stuck", "triggers that cannot be changed; tried again"
)
_LOADED_AT_ONCE = 500
"""Triggers; then the lease may be renewed."""


class Guard:
    """One partition's triggers.

    Args:
        pool: of the deciding database, for whatever is read.
        writing: for its transactions.
        peaks: for the records of new peaks, and for the rows that follow them.
        lease: the right to write for the partition.
        books: newest books.
        tail: where claimed exits go.
        settings: of the process.
        body_of: writes the bodies of orders.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        books: Books,
        tail: Tail[pb.OrderBatch],
        settings: Settings,
        *,
        writing: Pool,
        peaks: Pool,
        body_of: OrderBody,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._cache = TriggerCache(lease.partition, settings.partitions)
        self._booked_to = 0
        """All bookings up to it are handled, or memory was read after them ..."""
        self._booked: dict[LotKey, int] = {}
        """... and of some lots later ones, up to these."""
        self._foreseen: dict[int, list[Trigger]] = {}
        """By booking that a position begins with, the triggers of its lot, oldest first."""
        self._stuck: set[str] = set()
        """Triggers that could not be changed the last time."""
        self._claims = Claims(lease, tail, settings, body_of)
        self._bad = BadBooks(settings.suspend_ms)
        self._exit_lifecycle = ExitLifecycle(books, self._claims)
        self._writer = Writer(writing, self._cache, self._claims)
        self._compaction = Compaction(peaks, self._writer)
        self._peaks = HighWaterMarks(peaks, self._cache, lease, self._compaction)
        self._evaluator = Evaluator(
            self._cache, self._claims, self._writer, books.pending_books, self._peaks.see
        )
        self._trailing_stops = TrailingStops(
            self._cache, books, self._peaks, self._evaluator, self._writer
        )

    async def recover(self) -> None:
        """Rebuild memory from PostgreSQL."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=None)
        self._claims.control_seq = (await store.fetch(self._pool, "control_seq"))[0]["seq"]
        await self._load_halts()
        # Before the rows: what is folded meanwhile is in one of the two.
        recorded = await compaction.uncompacted(self._pool)
        for row in await store.fetch(self._pool, "held_lots"):
            key = (row["follower_proxy"], row["asset_id"], row["origin"])
            self._cache.put_lot(key, row["shares_micros"])
        # After the lots: a booking that they may have tells what its lot held once.
        self._booked_to = (await store.fetch(self._pool, "booked_to"))[0]["seq"]
        for number, row in enumerate(await store.fetch(self._pool, "live_triggers")):
            self._take(row)
            if number % _LOADED_AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._peaks.put(recorded)
        for key in self._cache.lots_opened_anew():
            await self._open(key)
        # Its lot may have been filled, or reported, before a process that died could arm it.
        every = self._cache.in_turn(self._cache.all())
        self._writer.schedule_soon(t.id for t in every if t.status is TriggerStatus.WAITING)

    def _take(self, row: Mapping[str, Any]) -> None:
        """Take over a trigger and whose it is."""
        self._cache.put(store.trigger(row))
        self._cache.learn(row)

    async def refresh(self) -> None:
        """Load what the control surface has changed, and judge it at once."""
        seq = (await store.fetch(self._pool, "control_seq"))[0]["seq"]
        before = self._claims.control_seq
        if seq == before:
            return
        eased = await self._load_halts()
        rows = await store.fetch(self._pool, "changed_triggers", after=before)
        for row in rows:
            self._take(row)
        for row in await store.fetch(self._pool, "manual_lots", after=before):
            await self._take_lot((row["follower_proxy"], row["asset_id"], row["origin"]))
        touched = self._cache.all() if eased else [row["id"] for row in rows]
        # Only now: what the database interrupts before is done again, and what it interrupts
        # after it is judged again.
        self._writer.schedule_soon(touched)
        self._claims.control_seq = seq
        await self._wake(self._cache.in_turn(touched))

    async def _take_lot(self, key: LotKey) -> None:
        """Take the size of a lot that was bought by hand, as a caller states it."""
        shares = await self._read_lot(key)
        for trigger in self._cache.of_lot(key):
            await self._follow_lot(trigger, shares)
        # By another size others of it may be reached, or see another peak, and no mark may come.
        self._writer.schedule_soon(trigger.id for trigger in self._cache.of_lot(key))

    async def _load_halts(self) -> bool:
        """Read the halts; returns whether one has ended."""
        halts = halts_of(await store.fetch(self._pool, "halts"))
        eased = bool(self._claims.halts - halts)
        self._claims.halts = halts
        return eased

    async def on_books(self, books: Sequence[Book]) -> None:
        """Judge the triggers that the newest books of assets may move, stop-losses first."""
        now_ms = clock.monotonic_ms()
        for book in books:
            self._peaks.see(book)
        await self._evaluator.judge(
            (trigger.id, book)
            for book in books
            if not self._bad.bears(book, now_ms)
            for trigger in self._cache.moved_by(book)
        )

    async def keep_peaks(self) -> None:
        """Record new peaks as they are seen, and judge whom they raise, for ever."""
        await self._trailing_stops.keep()

    async def fold_peaks(self) -> None:
        """Let the rows follow the records of peaks. Raises psycopg.OperationalError."""
        try:
            await self._compaction.fold()
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            # Nothing is lost, and nobody's exits wait for it.
            _log.error("rows do not follow their peaks; tried again soon", exc_info=error)

    async def suspend(self) -> None:
        """Suspend the triggers of books that have been bad for a while."""
        books = filter(None, map(self._books.known, self._bad.unbearable(clock.monotonic_ms())))
        moved = [trigger.id for book in books for trigger in self._cache.moved_by(book)]
        while moved:
            # Some at a time: the book may be good again before it was told to all of them.
            some, moved = moved[:PATIENT], moved[PATIENT:]
            try:
                await self._wake(self._cache.in_turn(some))
            except psycopg.Error:
                self._writer.schedule_soon([*some, *moved])
                raise

    async def prefetch(self, fills: Sequence[confirm_pb.FillEvent]) -> None:
        """Take over, in one statement, the triggers of positions that begin with bookings, each the
        next one of its lot; `on_fill` reads them no more."""
        self._foreseen = {}
        keys = {f.fill_seq: lot_of_booking(f) for f in fills if self._cache.owns(f.follower_proxy)}
        found = await self._read_triggers(sorted(set(keys.values())))
        self._foreseen = {seq: found[key] for seq, key in keys.items()}

    async def on_fill(self, fill: confirm_pb.FillEvent) -> None:
        """Keep lots; arm, cancel, settle or judge again the triggers of the lot."""
        if not self._cache.owns(fill.follower_proxy):
            return
        key = lot_of_booking(fill)
        if begins(fill):
            await self._open(key, self._foreseen.pop(fill.fill_seq, None))
        shares = await self._take_shares(key, fill)
        if fill.kind == confirm_pb.FILL_KIND_RESOLVED:
            for trigger_id in [trigger.id for trigger in self._cache.of_lot(key)]:
                await self._change(trigger_id, lot_sync.end_resolved)
            return
        if fill.kind == confirm_pb.FILL_KIND_CORRECTED:
            # An exit that was refused for want of balance goes on with what is there, at once.
            for trigger_id in [trigger.id for trigger in self._cache.of_lot(key)]:
                await self._change(trigger_id, self._exit_lifecycle.settle)
        if fill.kind == confirm_pb.FILL_KIND_CLOSED and fill.trigger_id:
            await self._change(fill.trigger_id, self._exit_lifecycle.settle)
        for trigger in self._cache.of_lot(key):
            await self._follow_lot(trigger, shares)
        await self._wake(self._cache.of_lot(key))

    async def _take_shares(self, key: LotKey, fill: confirm_pb.FillEvent) -> int:
        """Return what a lot holds. A booking that comes again, or late out of quarantine, tells
        what it held then, and a stop-loss would sleep over the rest; so does any of a lot of which
        callers tell as well. Of such a one the present is read."""
        before = max(self._booked_to, self._booked.get(key, 0))
        self._booked[key] = max(before, fill.fill_seq)
        if fill.fill_seq <= before or key[2] == MANUAL:
            return await self._read_lot(key)
        self._cache.put_lot(key, fill.lot_shares_micros)
        return fill.lot_shares_micros

    def booked(self, seq: int) -> None:
        """Acknowledge all bookings up to a number."""
        self._booked_to = max(self._booked_to, seq)
        self._booked = {key: last for key, last in self._booked.items() if last > seq}

    async def _read_lot(self, key: LotKey) -> int:
        """Take over what a lot holds, read again when another size came meanwhile."""
        while True:
            reading = self._cache.reading(key)
            rows = await store.fetch(self._pool, "lot_shares", **store.lot_key(key))
            shares: int = rows[0]["shares_micros"]
            if self._cache.put_read(key, shares, reading):
                return shares

    async def _open(self, key: LotKey, found: Sequence[Trigger] | None = None) -> None:
        """Take over the triggers that were made with a position; end those of the one before.

        Args:
            key: of its lot.
            found: the lot's, oldest first, which memory has taken over; None: they are read.
        """
        if found is None:
            found = (await self._read_triggers([key]))[key]
        # As they are by now: one that had fired when it was read may be armed again.
        for trigger in superseded([self._cache.get(trigger.id) or trigger for trigger in found]):
            await self._change(trigger.id, lot_sync.end_superseded)

    async def _read_triggers(self, keys: Sequence[LotKey]) -> dict[LotKey, list[Trigger]]:
        """Take over the triggers of lots; which they are, oldest first."""
        found: dict[LotKey, list[Trigger]] = {key: [] for key in keys}
        for row in await store.triggers_of_lots(self._pool, keys):
            self._take(row)
            trigger = store.trigger(row)
            found[lot_of(trigger)].append(trigger)
        return found

    async def _follow_lot(self, trigger: Trigger, shares: int) -> None:
        decide = lot_sync.follow(trigger, shares)
        if decide is not None:
            await self._change(trigger.id, decide)

    async def _change(self, trigger_id: str, decide: Decide) -> bool:
        """Change one trigger; one that cannot be changed holds up no other, and is logged once.

        Raises:
            Fenced: the lease is not valid any more.
            psycopg.OperationalError: the database is away.
        """
        try:
            await self._writer.change(trigger_id, decide)
        except (psycopg.OperationalError, Fenced):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is must not stop the others
            if trigger_id not in self._stuck:
                _log.error("a trigger cannot be changed", trigger=trigger_id, exc_info=error)
                self._stuck.add(trigger_id)
                _stuck.add(1)
            return False
        if trigger_id in self._stuck:
            self._stuck.discard(trigger_id)
            _stuck.add(-1)
        return True

    async def _wake(self, triggers: Iterable[Trigger]) -> None:
        """Judge triggers, in this order, on the lots and the books that are known already."""
        wishes, now_ms = [], clock.monotonic_ms()
        for trigger in triggers:
            shares = self._cache.shares(lot_of(trigger))
            if trigger.status is TriggerStatus.WAITING and shares > 0:
                await self._follow_lot(trigger, shares)
            book = self._books.known(trigger.asset_id)
            if book is not None and not self._bad.bears(book, now_ms):
                wishes.append((trigger.id, book))
        await self._evaluator.judge(wishes)
        # A book that came meanwhile met memory as it was before this, and may not come again.
        self._writer.schedule_soon(
            trigger_id
            for trigger_id, book in wishes
            if self._books.known(book.market.asset_id) != book
        )

    async def recheck(self) -> None:
        """Handle what no mark or fill wakes: ended exits, due slices, wishes that could not be met.

        Some at a time: behind a crowd's exits who is armed again, or due, does not wait for all.
        """
        await self._writer.at_rest()
        found = await store.fetch(self._pool, "moved_on")
        rows = [row for row in found if self._cache.owns(row["follower_proxy"])]
        self._writer.schedule_soon(self._evaluator.rested())
        woken: set[str] = set()
        while rows:
            some, rows = rows[:PATIENT], rows[PATIENT:]
            for row in some:
                decide = (
                    self._exit_lifecycle.settle
                    if row["ended"]
                    else self._exit_lifecycle.show_outcome
                )
                if await self._change(row["id"], decide) and row["ended"]:
                    # Armed again, it is judged on the book that is there.
                    self._writer.schedule_soon([row["id"]])
                    woken.discard(row["id"])
            await self._wake_eager(woken)
        for trigger in self._cache.in_turn(self._stuck):
            await self._open(lot_of(trigger))
            await self._follow_lot(trigger, self._cache.shares(lot_of(trigger)))
        await self._wake_eager(woken)

    async def _wake_eager(self, woken: set[str]) -> None:
        """Judge who is to be judged soon, and who is due.

        Args:
            woken: in this look; what could not be met is asked again in the next one. Who is judged
                now is added.
        """
        eager = self._writer.take_eager()
        self._writer.schedule_soon(eager & woken)
        fresh = (eager | self._cache.due(clock.now_ms())) - woken
        woken.update(fresh)
        try:
            await self._wake(self._cache.in_turn(fresh))
        except psycopg.Error:
            self._writer.schedule_soon(fresh)
            raise
