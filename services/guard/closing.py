"""Following an exit until its trigger is done: armed again, the next slice, or the end.

The worker calls this with trigger and lot locked, when an exit has ended or its outcome has become
(un)known; what is decided comes from `core.aftermath`.
"""

from __future__ import annotations

from services.guard import store
from services.guard.claiming import Claims, Outcome, Row
from services.guard.core import aftermath, telling
from services.guard.core.aftermath import Ended, Next
from services.guard.store import Change
from tradingtools.adapters.postgres.journal import Connection
from tradingtools.domain.book import BookStatus
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.trigger_states import FINAL, TriggerStatus
from tradingtools.runtime.books import Books


class Closing:
    """What becomes of triggers that have fired.

    Args:
        books: newest books.
        claims: for further slices.
    """

    def __init__(self, books: Books, claims: Claims) -> None:
        self._books = books
        self._claims = claims

    async def show_outcome(self, connection: Connection, row: Row, _lot: Row | None) -> Outcome:
        """Let the status say whether the exit's outcome is known."""
        order = await store.one(connection, "exit_order", order_key=row["order_key"])
        closing = (TriggerStatus.TRIGGERED, TriggerStatus.CLOSING, TriggerStatus.NEEDS_CONFIRM)
        if order is None or row["status"] not in closing:
            return store.trigger(row)
        target = {
            OrderState.UNKNOWN: TriggerStatus.NEEDS_CONFIRM,
            OrderState.DEAD: TriggerStatus.NEEDS_CONFIRM,
            OrderState.RESURRECTED: TriggerStatus.NEEDS_CONFIRM,
            OrderState.SUBMITTED: TriggerStatus.CLOSING,
        }.get(OrderState(order["state"]))
        if target is None or target == row["status"]:
            return store.trigger(row)
        change = Change(status=target, detail=f"the exit is {order['state']}")
        return await store.move(connection, row, change)

    async def settle(self, connection: Connection, row: Row, lot: Row | None) -> Outcome:
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
            resolved = Change(
                status=TriggerStatus.RESOLVED, detail=telling.payout(book), sold_micros=sold
            )
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
        return await self._claims.claim(connection, row, lot, book, change, tried=tried)
