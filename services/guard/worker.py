"""Marks and fills in, exits out.

Mark -> judge (core) -> one transaction: trigger TRIGGERED, shares reserved, exit claimed -> stream.
A crash before the commit fires nothing; after it, the executor finds the claim, and the trigger is
found closing. One writer: all changes go through one lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import psycopg
import structlog
from opentelemetry import metrics

from services.guard import store
from services.guard.claiming import Claim, Terms, claim_slice
from services.guard.core import aftermath
from services.guard.core import halts as halting
from services.guard.core import trigger as judging
from services.guard.core.aftermath import Ended, Next
from services.guard.core.trigger import Judgement, Trigger
from services.guard.settings import Settings
from services.guard.store import Change
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Connection
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.codec.claims import order_to_pb
from tradingtools.domain import ids
from tradingtools.domain.book import Book, BookStatus, sell_into
from tradingtools.domain.money import to_text
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.trigger_states import FINAL, TriggerStatus
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_log = structlog.get_logger("guard")
_meter = metrics.get_meter("tradingtools.guard")
_fired = _meter.create_counter("triggers_fired", description="by type")

LotKey = tuple[str, str, str]
"""Wallet, asset, origin."""


class Guard:
    """One partition's triggers.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        tail: where claimed exits go.
        settings: of the process.
    """

    def __init__(
        self, pool: Pool, lease: Lease, tail: Tail[pb.OrderBatch], settings: Settings
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._tail = tail
        self._settings = settings
        self._control_seq = 0
        self._triggers: dict[str, Trigger] = {}
        self._by_asset: dict[str, set[str]] = {}
        self._lots: dict[LotKey, int] = {}
        self._books: dict[str, Book] = {}
        self._halts: frozenset[halting.Halt] = frozenset()
        self._writing = asyncio.Lock()

    async def recover(self) -> None:
        """Rebuild memory from PostgreSQL."""
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=0)
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
        owner = ids.partition_of(trigger.follower_proxy, self._settings.partitions)
        if owner != self._lease.partition:
            return
        known = self._triggers.get(trigger.id)
        if known is not None and known.version > trigger.version:
            return
        if trigger.status in FINAL:
            self._triggers.pop(trigger.id, None)
            self._by_asset.get(trigger.asset_id, set()).discard(trigger.id)
            return
        self._triggers[trigger.id] = trigger
        self._by_asset.setdefault(trigger.asset_id, set()).add(trigger.id)

    async def on_book(self, book: Book) -> None:
        """Judge every trigger of an asset on its newest book, stop-losses first."""
        asset = book.market.asset_id
        self._books[asset] = book
        waiting = sorted(
            (self._triggers[i] for i in self._by_asset.get(asset, ())),
            key=lambda t: (list(judging.TriggerType).index(t.type), t.id),
        )
        for trigger in waiting:
            await self._judge(trigger.id, book)

    async def _judge(self, trigger_id: str, book: Book) -> None:
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            return
        lot = self._lots.get((trigger.follower_proxy, trigger.asset_id, trigger.origin), 0)
        verdict = judging.judge(trigger, lot, book)
        if verdict is Judgement.NOTHING:
            return
        try:
            async with self._writing:
                await self._obey(trigger_id, verdict, book)
            if verdict is Judgement.ARM:
                await self._judge(trigger_id, book)
        except psycopg.OperationalError as error:
            _log.warning("not judged; the next mark judges again", error=str(error))

    async def _obey(self, trigger_id: str, verdict: Judgement, book: Book) -> None:
        claimed: Claim | None = None
        async with store.locked(self._pool, trigger_id) as (connection, row, lot):
            now = store.trigger(row)
            # Judged again under lock: the caller may have changed price or size meanwhile.
            shares = lot["shares_micros"] if lot is not None else 0
            if judging.judge(now, shares, book) is not verdict:
                self._put(now)
                return
            if verdict is Judgement.FIRE and lot is not None:
                claimed = await self._fire(connection, row, lot, book)
            else:
                change = {
                    Judgement.SUSPEND: Change(
                        status=TriggerStatus.SUSPENDED, detail=f"book is {book.status.value}"
                    ),
                    Judgement.ARM: Change(
                        status=TriggerStatus.ARMED, detail="the book is good again"
                    ),
                    Judgement.RESOLVE: Change(status=TriggerStatus.RESOLVED, detail=_payout(book)),
                }[verdict]
                self._put(await store.move(connection, row, change))
        if claimed is not None:
            self._stream(claimed)

    async def _fire(
        self, connection: Connection, row: Mapping[str, Any], lot: Mapping[str, Any], book: Book
    ) -> Claim | None:
        seen = sell_into(book.bids, lot["shares_micros"])
        change = Change(
            status=TriggerStatus.TRIGGERED,
            detail=f"would fetch {to_text(seen.average_micros)}" if seen else "no bid",
            slice_number=0,
            sold_micros=0,
        )
        found = await self._claim(connection, row, lot, book, change)
        if found is not None:
            _fired.add(1, {"type": row["trigger_type"]})
        return found

    async def _claim(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        lot: Mapping[str, Any],
        book: Book,
        change: Change,
    ) -> Claim | None:
        """Claim a slice unless a halt holds it; what the trigger became is known at once."""
        if self._held(row):
            return None
        claim = await claim_slice(
            connection, self._lease, row, lot, book, change,
            Terms(
                floor_ppm=self._settings.floor_ppm,
                exit_ttl_ms=self._settings.exit_ttl_ms,
                control_seq=self._control_seq,
                now_ns=time.time_ns(),
            ),
        )  # fmt: skip
        if claim is not None:
            self._put(claim.trigger)
        return claim

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
        """Keep lots; arm, cancel or settle the triggers of the lot."""
        key = (fill.follower_proxy, fill.asset_id, fill.subscription_id)
        self._lots[key] = fill.lot_shares_micros
        if not fill.lot_shares_micros:
            del self._lots[key]
        if fill.kind == confirm_pb.FILL_KIND_CLOSED and fill.trigger_id:
            await self._settle(fill.trigger_id)
        for trigger_id in list(self._by_asset.get(fill.asset_id, ())):
            trigger = self._triggers[trigger_id]
            if (trigger.follower_proxy, trigger.asset_id, trigger.origin) == key:
                await self._follow_lot(trigger, fill.lot_shares_micros)

    async def _follow_lot(self, trigger: Trigger, shares: int) -> None:
        if trigger.status is TriggerStatus.WAITING and shares > 0:
            target, detail = TriggerStatus.ARMED, f"the lot holds {to_text(shares)} shares"
        elif trigger.status in (TriggerStatus.ARMED, TriggerStatus.SUSPENDED) and shares == 0:
            target, detail = TriggerStatus.CANCELLED, "the lot is empty"
        else:
            return
        async with self._writing, store.locked(self._pool, trigger.id) as (connection, row, lot):
            now = store.trigger(row)
            held = lot["shares_micros"] if lot is not None else 0
            if now.status is trigger.status and (held > 0) == (shares > 0):
                now = await store.move(connection, row, Change(status=target, detail=detail))
            self._put(now)
        await self._wake(trigger.id)

    async def _wake(self, trigger_id: str) -> None:
        """Judge a trigger on the book that is known already."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            return
        key = (trigger.follower_proxy, trigger.asset_id, trigger.origin)
        if trigger.status is TriggerStatus.WAITING and self._lots.get(key, 0) > 0:
            await self._follow_lot(trigger, self._lots[key])
            return
        book = self._books.get(trigger.asset_id)
        if book is not None:
            await self._judge(trigger_id, book)

    async def look_at_closing(self) -> None:
        """Settle exits that ended unseen or whose next slice is due; show unknown outcomes."""
        for row in await store.fetch(self._pool, "closing"):
            await self._settle(row["id"])
        for row in await store.fetch(self._pool, "unresolved"):
            target = (
                TriggerStatus.CLOSING
                if row["state"] == OrderState.SUBMITTED
                else TriggerStatus.NEEDS_CONFIRM
            )
            async with (
                self._writing,
                store.locked(self._pool, row["id"]) as (connection, now, _),
            ):
                if now["status"] not in FINAL and now["status"] != target:
                    detail = f"the exit is {row['state']}"
                    change = Change(status=target, detail=detail)
                    self._put(await store.move(connection, now, change))

    async def _settle(self, trigger_id: str) -> None:
        async with self._writing:
            claimed = await self._settle_locked(trigger_id)
            if claimed is not None:
                # Committed; still under the lock, so that the stream keeps the journal's order.
                self._stream(claimed)

    async def _settle_locked(self, trigger_id: str) -> Claim | None:
        async with store.locked(self._pool, trigger_id) as (connection, row, lot):
            if row["status"] in FINAL or not row["order_key"]:
                return None
            order = await store.one(connection, "exit_order", order_key=row["order_key"])
            if order is None:
                return None
            return await self._after_exit(connection, row, lot, order)

    async def _after_exit(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        lot: Mapping[str, Any] | None,
        order: Mapping[str, Any],
    ) -> Claim | None:
        total = await store.one(connection, "sold", copy_key=order["copy_key"])
        sold = total["sold_micros"] if total is not None else 0
        book = self._books.get(row["asset_id"])
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
            return await self._next_slice(connection, row, lot, order, sold)
        if step is Next.DONE:
            change = Change(
                status=TriggerStatus.DONE, detail=f"sold {to_text(sold)} shares", sold_micros=sold
            )
        elif step is Next.REARM:
            change = Change(
                status=TriggerStatus.ARMED,
                detail=f"nothing was sold: {order['reason']}",
                rearmed=True,
            )
        else:
            return None
        self._put(await store.move(connection, row, change))
        return None

    async def _next_slice(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        lot: Mapping[str, Any],
        order: Mapping[str, Any],
        sold: int,
    ) -> Claim | None:
        number = order["ordinal"] + 1
        book = self._books.get(row["asset_id"])
        if row["next_slice_at"] is None:
            pause = aftermath.pause_ms(order["ordinal"])
            change = Change(
                status=TriggerStatus.CLOSING,
                detail=f"{order['reason'] or 'partly filled'}; slice {number} in {pause} ms",
                sold_micros=sold,
                next_slice_ms=pause,
            )
            self._put(await store.move(connection, row, change))
            return None
        if book is None or book.status is not BookStatus.FRESH:
            return None
        change = Change(
            status=TriggerStatus.CLOSING,
            detail=f"slice {number}",
            slice_number=number,
            sold_micros=sold,
        )
        return await self._claim(connection, row, lot, book, change)


def _payout(book: Book) -> str:
    payout = book.market.payout_micros
    return f"the market resolved, a share pays {to_text(payout or 0)}"
