"""Marks and fills in, exits out.

Mark -> judge (core) -> one transaction: trigger TRIGGERED, shares reserved, exit claimed -> stream.
A crash before the commit fires nothing; after it, the executor finds the claim, and the trigger is
found closing. One writer: all changes go through one lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
import structlog
from opentelemetry import metrics

from services.guard import store
from services.guard.claiming import Claim, Terms, claim_slice
from services.guard.core import aftermath, telling
from services.guard.core import halts as halting
from services.guard.core import trigger as judging
from services.guard.core.aftermath import Ended, Next
from services.guard.core.index import TriggerIndex
from services.guard.core.trigger import Judgement, Trigger
from services.guard.settings import Settings
from services.guard.store import Change
from tradingtools.adapters import clock
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Connection
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.codec.claims import order_to_pb
from tradingtools.domain import ids
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.money import to_text
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.trigger_states import FINAL, TriggerStatus
from tradingtools.domain.trigger_types import TriggerType
from tradingtools.runtime.books import Books
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_log = structlog.get_logger("guard")
_meter = metrics.get_meter("tradingtools.guard")
_fired = _meter.create_counter("triggers_fired", description="by type")

LotKey = tuple[str, str, str]
"""Wallet, asset, origin."""
Row = Mapping[str, Any]
Outcome = Trigger | Claim
"""A trigger as its transaction leaves it, with the exit that was claimed in it."""
Decide = Callable[[Connection, Row, Row | None], Awaitable[Outcome]]
"""Changes a locked trigger, given its row and its lot."""


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
        self._tail = tail
        self._settings = settings
        self._control_seq = 0
        self._triggers: dict[str, Trigger] = {}
        self._by_lot: dict[LotKey, set[str]] = {}
        self._index = TriggerIndex()
        self._lots: dict[LotKey, int] = {}
        self._books = books
        self._eager: set[str] = set()
        self._timed: set[str] = set()
        self._halts: frozenset[halting.Halt] = frozenset()
        self._writing = asyncio.Lock()

    async def recover(self) -> None:
        """Rebuild memory from PostgreSQL."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=None)
        self._control_seq = (await store.fetch(self._pool, "control_seq"))[0]["seq"]
        await self._load_halts()
        for row in await store.fetch(self._pool, "held_lots"):
            key = (row["follower_proxy"], row["asset_id"], row["origin"])
            self._lots[key] = row["shares_micros"]
        for row in await store.fetch(self._pool, "live_triggers"):
            self._put(store.trigger(row))

    async def refresh(self) -> None:
        """Load what the control surface has changed, and judge it at once."""
        seq = (await store.fetch(self._pool, "control_seq"))[0]["seq"]
        if seq == self._control_seq:
            return
        eased = await self._load_halts()
        rows = await store.fetch(self._pool, "changed_triggers", after=self._control_seq)
        for row in rows:
            known = self._triggers.get(row["id"])
            if known is None or known.version < row["version"]:
                self._put(store.trigger(row))
        self._control_seq = seq
        for trigger_id in list(self._triggers) if eased else [row["id"] for row in rows]:
            await self._wake(trigger_id)

    async def _load_halts(self) -> bool:
        """Read the halts; returns whether one has ended."""
        rows = await store.fetch(self._pool, "halts")
        halts = frozenset((row["scope"], row["subject"]) for row in rows)
        eased = bool(self._halts - halts)
        self._halts = halts
        return eased

    def _held(self, row: Mapping[str, Any]) -> bool:
        return halting.held(
            self._halts,
            wallet=row["follower_proxy"],
            leader=row["leader"],
            condition_id=row["condition_id"],
        )

    def _put(self, trigger: Trigger) -> None:
        """Take over what the database has; never before it is committed."""
        owner = ids.partition_of(trigger.follower_proxy, self._settings.partitions)
        if owner != self._lease.partition:
            return
        if trigger.status in FINAL:
            self._triggers.pop(trigger.id, None)
            self._timed.discard(trigger.id)
            self._index.remove(trigger.id)
            of_lot = self._by_lot.get(_lot_of(trigger), set())
            of_lot.discard(trigger.id)
            if not of_lot:
                self._by_lot.pop(_lot_of(trigger), None)
            return
        self._triggers[trigger.id] = trigger
        if trigger.fire_at_ms is not None:
            self._timed.add(trigger.id)
        self._index.put(trigger, self._lots.get(_lot_of(trigger), 0))
        self._by_lot.setdefault(_lot_of(trigger), set()).add(trigger.id)

    async def _change(self, trigger_id: str, decide: Decide) -> None:
        """Change a trigger under lock; memory and stream learn of it once it is committed.

        A commit that fails leaves memory as it was; if it happened after all, the next look finds
        the row, and the executor finds the claim.
        """
        async with self._writing:
            async with store.locked(self._pool, trigger_id) as (connection, row, lot):
                outcome = await decide(connection, row, lot)
            if isinstance(outcome, Claim):
                self._put(outcome.trigger)
                # Still under the lock, so that the stream keeps the journal's order.
                self._stream(outcome)
            else:
                self._put(outcome)

    async def on_book(self, book: Book) -> None:
        """Judge the triggers that an asset's newest book may move, stop-losses first."""
        waiting = sorted(
            (self._triggers[i] for i in self._index.candidates(book)),
            key=lambda t: (list(TriggerType).index(t.type), t.id),
        )
        for trigger in waiting:
            await self._judge(trigger.id, book)

    async def _judge(self, trigger_id: str, book: Book) -> None:
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            return
        lot = self._lots.get(_lot_of(trigger), 0)
        now_ms = clock.now_ms()
        verdict = judging.judge(trigger, lot, book, now_ms)
        if verdict is Judgement.NOTHING:
            return

        async def obey(connection: Connection, row: Row, locked: Row | None) -> Outcome:
            return await self._obey(connection, row, locked, verdict, book, now_ms)

        try:
            await self._change(trigger_id, obey)
        except psycopg.OperationalError as error:
            _log.warning("not judged; judged again soon", error=str(error).strip())
        now = self._triggers.get(trigger_id)
        if verdict is Judgement.ARM and now is not None and now.status is TriggerStatus.ARMED:
            await self._judge(trigger_id, book)
        elif now is not None and now.status is trigger.status:
            # It asked for something that could not be done: no mark may come in a quiet book.
            self._eager.add(trigger_id)

    async def _obey(
        self,
        connection: Connection,
        row: Row,
        lot: Row | None,
        verdict: Judgement,
        book: Book,
        now_ms: int,
    ) -> Outcome:
        now = store.trigger(row)
        # Judged again under lock: the caller may have changed price or size meanwhile.
        shares = lot["shares_micros"] if lot is not None else 0
        if judging.judge(now, shares, book, now_ms) is not verdict:
            return now
        if verdict is Judgement.FIRE and lot is not None:
            return await self._fire(connection, row, lot, book)
        if verdict is Judgement.RATCHET:
            return await _ratchet(connection, row, shares, book)
        change = {
            Judgement.SUSPEND: Change(
                status=TriggerStatus.SUSPENDED, detail=f"book is {book.status.value}"
            ),
            Judgement.ARM: Change(status=TriggerStatus.ARMED, detail="the book is good again"),
            Judgement.RESOLVE: Change(status=TriggerStatus.RESOLVED, detail=_payout(book)),
        }[verdict]
        return await store.move(connection, row, change)

    async def _fire(self, connection: Connection, row: Row, lot: Row, book: Book) -> Outcome:
        change = Change(
            status=TriggerStatus.TRIGGERED,
            detail=telling.fired(store.trigger(row), lot["shares_micros"], book),
            slice_number=0,
            sold_micros=0,
        )
        outcome = await self._claim(connection, row, lot, book, change, tried=0)
        if isinstance(outcome, Claim):
            _fired.add(1, {"type": row["trigger_type"]})
        return outcome

    async def _claim(
        self, connection: Connection, row: Row, lot: Row, book: Book, change: Change, *, tried: int
    ) -> Outcome:
        """Claim a slice; the trigger as it is when a halt or the lot forbids it."""
        if self._held(row):
            return store.trigger(row)
        terms = Terms(
            floor_ppm=self._settings.floor_ppm,
            exit_ttl_ms=self._settings.exit_ttl_ms,
            control_seq=self._control_seq,
            now_ns=clock.now_ns(),
            tried=tried,
        )
        claim = await claim_slice(connection, self._lease, row, lot, book, change, terms)
        return claim if claim is not None else store.trigger(row)

    def _stream(self, claim: Claim) -> None:
        self._tail.append(
            claim.record.seq,
            pb.OrderBatch(
                journal_seq=claim.record.seq,
                orders=[order_to_pb(claim.order)],
                traceparent=claim.traceparent,
                claimed_ns=claim.record.claimed_ns,
                control_seq=self._control_seq,
            ),
        )

    async def on_fill(self, fill: confirm_pb.FillEvent) -> None:
        """Keep lots; arm, cancel, settle or judge again the triggers of the lot."""
        key = (fill.follower_proxy, fill.asset_id, fill.subscription_id)
        self._lots[key] = fill.lot_shares_micros
        if not fill.lot_shares_micros:
            del self._lots[key]
        if fill.kind == confirm_pb.FILL_KIND_CLOSED and fill.trigger_id:
            await self._change(fill.trigger_id, self._settle)
        known = [self._triggers[i] for i in self._by_lot.get(key, ())]
        for trigger in known:
            self._index.put(trigger, fill.lot_shares_micros)
        for trigger_id in [trigger.id for trigger in known]:
            now = self._triggers.get(trigger_id)
            # None: it ended while another one of the lot was judged.
            if now is not None:
                await self._follow_lot(now, fill.lot_shares_micros)
                await self._wake(trigger_id)

    async def _follow_lot(self, trigger: Trigger, shares: int) -> None:
        if trigger.status is TriggerStatus.WAITING and shares > 0:
            target, detail = TriggerStatus.ARMED, f"the lot holds {to_text(shares)} shares"
        elif trigger.status in (TriggerStatus.ARMED, TriggerStatus.SUSPENDED) and shares == 0:
            target, detail = TriggerStatus.CANCELLED, "the lot is empty"
        else:
            return

        async def follow(connection: Connection, row: Row, lot: Row | None) -> Outcome:
            now = store.trigger(row)
            held = lot["shares_micros"] if lot is not None else 0
            if now.status is not trigger.status or (held > 0) != (shares > 0):
                return now
            return await store.move(connection, row, Change(status=target, detail=detail))

        await self._change(trigger.id, follow)

    async def _wake(self, trigger_id: str) -> None:
        """Judge a trigger on the lot and the book that are known already."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            return
        key = _lot_of(trigger)
        if trigger.status is TriggerStatus.WAITING and self._lots.get(key, 0) > 0:
            await self._follow_lot(trigger, self._lots[key])
        book = self._books.known(trigger.asset_id)
        if book is not None:
            await self._judge(trigger_id, book)

    async def look_again(self) -> None:
        """What no mark and no fill wakes: ended exits, due slices, wishes that could not be met."""
        for row in await store.fetch(self._pool, "closing"):
            await self._change(row["id"], self._settle)
        for row in await store.fetch(self._pool, "unresolved"):
            await self._change(row["id"], self._show_outcome)
        eager, self._eager = self._eager | self._due(), set()
        for trigger_id in eager:
            await self._wake(trigger_id)

    def _due(self) -> set[str]:
        """Time stops whose instant has come, and that have not fired."""
        now_ms = clock.now_ms()
        timed = [t for t in map(self._triggers.get, self._timed) if t is not None]
        return {t.id for t in timed if t.fire_at_ms is not None and t.fire_at_ms <= now_ms}

    async def _show_outcome(self, connection: Connection, row: Row, _lot: Row | None) -> Outcome:
        """Let the status say whether the exit's outcome is known."""
        order = await store.one(connection, "exit_order", order_key=row["order_key"])
        closing = (TriggerStatus.TRIGGERED, TriggerStatus.CLOSING, TriggerStatus.NEEDS_CONFIRM)
        if order is None or row["status"] not in closing:
            return store.trigger(row)
        target = {
            OrderState.UNKNOWN: TriggerStatus.NEEDS_CONFIRM,
            OrderState.DEAD: TriggerStatus.NEEDS_CONFIRM,
            OrderState.SUBMITTED: TriggerStatus.CLOSING,
        }.get(OrderState(order["state"]))
        if target is None or target == row["status"]:
            return store.trigger(row)
        change = Change(status=target, detail=f"the exit is {order['state']}")
        return await store.move(connection, row, change)

    async def _settle(self, connection: Connection, row: Row, lot: Row | None) -> Outcome:
        """Follow an exit that has ended: done, armed again, or the next slice."""
        if row["status"] in FINAL or not row["order_key"]:
            return store.trigger(row)
        order = await store.one(connection, "exit_order", order_key=row["order_key"])
        if order is None:
            return store.trigger(row)
        total = await store.one(connection, "sold", copy_key=order["copy_key"])
        if total is None:
            raise LookupError(f"the exits of trigger {row['id']} have no sum")
        sold, tried = total["sold_micros"], total["tried"]
        book = self._books.known(row["asset_id"])
        step = aftermath.after_exit(
            Ended(
                state=OrderState(order["state"]),
                failed_kind=FailedKind(order["failed_kind"]) if order["failed_kind"] else None,
                sold_micros=sold,
                size_micros=row["size_micros"],
                lot_micros=lot["shares_micros"] if lot is not None else 0,
                min_size_micros=book.market.min_size_micros if book is not None else 1,
            )
        )
        if step is Next.SLICE and lot is not None:
            return await self._next_slice(connection, row, lot, order, sold, tried)
        if step is Next.DONE:
            detail = telling.sold(store.trigger(row), sold, total["notional_micros"])
            change = Change(status=TriggerStatus.DONE, detail=detail, sold_micros=sold)
        elif step is Next.REARM:
            change = Change(
                status=TriggerStatus.ARMED,
                detail=f"nothing was sold: {order['reason']}",
                rearmed=True,
            )
        else:
            return store.trigger(row)
        return await store.move(connection, row, change)

    async def _next_slice(
        self, connection: Connection, row: Row, lot: Row, order: Row, sold: int, tried: int
    ) -> Outcome:
        number = order["ordinal"] + 1
        book = self._books.known(row["asset_id"])
        if book is not None and book.market.payout_micros is not None:
            resolved = Change(status=TriggerStatus.RESOLVED, detail=_payout(book), sold_micros=sold)
            return await store.move(connection, row, resolved)
        if row["next_slice_at"] is None:
            pause = aftermath.pause_ms(order["ordinal"])
            waiting = Change(
                status=TriggerStatus.CLOSING,
                detail=f"{order['reason'] or 'partly filled'}; slice {number} in {pause} ms",
                sold_micros=sold,
                next_slice_ms=pause,
            )
            return await store.move(connection, row, waiting)
        if book is None or book.status is not BookStatus.FRESH:
            return store.trigger(row)
        change = Change(
            status=TriggerStatus.CLOSING,
            detail=f"slice {number}",
            slice_number=number,
            sold_micros=sold,
        )
        return await self._claim(connection, row, lot, book, change, tried=tried)


def _lot_of(trigger: Trigger) -> LotKey:
    return trigger.follower_proxy, trigger.asset_id, trigger.origin


async def _ratchet(connection: Connection, row: Row, shares: int, book: Book) -> Trigger:
    now = store.trigger(row)
    sale = judging.sale_of(now, shares, book)
    peak = judging.new_peak(now, sale) if sale is not None else None
    if peak is None:
        return now
    told = telling.ratcheted(now, peak) if judging.worth_telling(now, peak) else None
    return await store.ratchet(connection, row, peak, told)


def _payout(book: Book) -> str:
    payout = book.market.payout_micros
    return f"the market resolved, a share pays {to_text(payout or 0)}"
