"""Follow an exit until its trigger is done: armed again, the next slice, or the end.

The worker calls this with trigger and lot locked, when an exit has ended or its outcome has become
(un)known; what is decided comes from `core.exit_outcome`.
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from services.guard import store
from services.guard.claiming import Claims, Outcome, Row, as_it_is
from services.guard.core import exit_outcome, history_text
from services.guard.core import trigger as trigger_rules
from services.guard.core.exit_outcome import ExitResult, NextStep
from services.guard.core.trigger import Trigger
from services.guard.store import TriggerChange
from tradingtools.domain import exit_price
from tradingtools.domain.book import BookStatus
from tradingtools.domain.money import MICROS
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_states import UNDER_WAY, TriggerStatus
from tradingtools.runtime.books import Books
from tradingtools.storage.postgres.pipeline import Pipeline

_LONGEST_PAUSE_MS = 8_000


class ExitLifecycle:
    """Triggers that have fired, until their exits are over.

    Args:
        books: newest books.
        claims: for further slices.
    """

    def __init__(self, books: Books, claims: Claims) -> None:
        self._books = books
        self._claims = claims

    async def show_outcome(self, pipeline: Pipeline, row: Row, _lot: Row | None) -> Outcome:
        """Let the status say whether the exit's outcome is known."""
        order = await store.one(pipeline, "exit_order", order_key=row["order_key"])
        if order is None or row["status"] not in UNDER_WAY:
            return as_it_is(row)
        target = {
            OrderState.UNKNOWN: TriggerStatus.NEEDS_CONFIRM,
            OrderState.DEAD: TriggerStatus.NEEDS_CONFIRM,
            OrderState.RESURRECTED: TriggerStatus.NEEDS_CONFIRM,
            OrderState.SUBMITTED: TriggerStatus.CLOSING,
        }.get(OrderState(order["state"]))
        if target is None or target == row["status"]:
            return as_it_is(row)
        change = TriggerChange(status=target, detail=f"the exit is {order['state']}")
        return self._claims.write(pipeline, [(row, change)])

    async def settle(self, pipeline: Pipeline, row: Row, lot: Row | None) -> Outcome:
        """Follow an exit that has ended: done, armed again, the next rung, or the next slice."""
        if row["status"] not in UNDER_WAY or not row["order_key"]:
            return as_it_is(row)
        order = await store.one(pipeline, "exit_order", order_key=row["order_key"])
        if order is None:
            return as_it_is(row)
        total = await store.one(pipeline, "sold", trigger_id=row["id"], copy_key=order["copy_key"])
        if total is None:
            raise LookupError(f"the exits of trigger {row['id']} have no sum")
        sold = total["sold_micros"]
        trigger = structs.replace(store.trigger(row), sold_micros=sold)
        step = exit_outcome.after_exit(self._ended(trigger, order, lot, total))
        if step is not NextStep.NOTHING and await store.begun_anew(pipeline, row):
            return self._over(pipeline, trigger, row, total, "a new position has begun")
        if exit_outcome.is_withdrawn(step, exit_of=row["exit_of"], exiting=row["exiting"]):
            return self._over(pipeline, trigger, row, total, "the subscription was resumed")
        if step is NextStep.SLICE and lot is not None:
            return await self._next_slice(pipeline, row, lot, order, total)
        # What comes back of another's sale it has to sell as well.
        if step is NextStep.DONE and await store.unsettled(pipeline, row, besides=trigger.id):
            return as_it_is(row)
        if step in (NextStep.DONE, NextStep.RUNG):
            return await _end(pipeline, trigger, row, lot, total, more=step is NextStep.RUNG)
        if step is NextStep.REARM:
            change = TriggerChange(
                status=TriggerStatus.ARMED,
                detail=f"nothing was sold: {order['reason']}",
                rearmed=True,
                sold_micros=sold,
                rungs_fired=trigger.rungs_done,
            )
            return self._claims.write(pipeline, [(row, change)])
        return as_it_is(row)

    def _over(
        self, pipeline: Pipeline, trigger: Trigger, row: Row, total: Row, why: str
    ) -> Outcome:
        """End a trigger that has nothing to sell any more, whatever its lot holds."""
        detail = history_text.sold(
            trigger, total["exit_sold_micros"], total["exit_notional_micros"]
        )
        change = TriggerChange(
            status=TriggerStatus.DONE,
            detail=f"{detail}; {why}",
            sold_micros=total["sold_micros"],
            rungs_done=trigger.rungs_fired,
        )
        return self._claims.write(pipeline, [(row, change)])

    def _ended(self, trigger: Trigger, order: Row, lot: Row | None, total: Row) -> ExitResult:
        held = lot["shares_micros"] if lot is not None else 0
        book = self._books.known(trigger.asset_id)
        more = trigger.rungs_fired < len(trigger.rungs)
        return ExitResult(
            state=OrderState(order["state"]),
            failed_kind=FailedKind(order["failed_kind"]) if order["failed_kind"] else None,
            sold_micros=total["exit_sold_micros"],
            desired_micros=trigger_rules.still_needed(trigger, held, total["exit_sold_micros"]),
            rungs_micros=trigger_rules.left(trigger, held) if more else 0,
            min_size_micros=book.market.min_size_micros if book is not None else 1,
        )

    async def _next_slice(
        self, pipeline: Pipeline, row: Row, lot: Row, order: Row, total: Row
    ) -> Outcome:
        sold = total["sold_micros"]
        number = order["ordinal"] + 1
        book = self._books.known(row["asset_id"])
        if book is not None and book.market.payout_micros is not None:
            resolved = TriggerChange(
                status=TriggerStatus.RESOLVED, detail=history_text.payout(book), sold_micros=sold
            )
            return self._claims.write(pipeline, [(row, resolved)])
        if row["next_slice_at"] is None:
            missing = order["reason"] == Reason.INSUFFICIENT_BALANCE
            if missing and not await store.incoming(pipeline, row):
                pause = exit_price.pause_without_balance_ms(number)
            else:
                pause = exit_price.pause_ms(number, _LONGEST_PAUSE_MS)
            waiting = TriggerChange(
                status=TriggerStatus.CLOSING,
                detail=f"{order['reason'] or 'partly filled'}; slice {number} in {pause} ms",
                sold_micros=sold,
                next_slice_ms=pause,
            )
            return self._claims.write(pipeline, [(row, waiting)])
        if book is None or book.status is not BookStatus.FRESH:
            return as_it_is(row)
        change = TriggerChange(
            status=TriggerStatus.CLOSING,
            detail=f"slice {number}",
            slice_number=number,
            sold_micros=sold,
        )
        desired = trigger_rules.still_needed(
            structs.replace(store.trigger(row), sold_micros=sold),
            lot["shares_micros"],
            total["exit_sold_micros"],
        )
        found = self._claims.slice(
            row, lot, book, change, desired_micros=desired, tried=total["tried"]
        )
        if found is None:
            return as_it_is(row)
        piece, noted = found
        return self._claims.write(pipeline, [(row, noted)], [piece])


async def _end(
    pipeline: Pipeline, trigger: Trigger, row: Row, lot: Row | None, total: Row, *, more: bool
) -> Outcome:
    """End an exit that sold what it wanted: done, or armed again for the rungs that are left."""
    detail = history_text.sold(trigger, total["exit_sold_micros"], total["exit_notional_micros"])
    change = TriggerChange(
        status=TriggerStatus.ARMED if more else TriggerStatus.DONE,
        detail=detail,
        sold_micros=total["sold_micros"],
        rungs_done=trigger.rungs_fired,
        order_key="" if more else None,
    )
    moved = Outcome(answers=store.change_all(pipeline, [(row, change)]))
    entry = _entry_price(lot)
    if not trigger.rungs or entry is None or total["exit_sold_micros"] == 0:
        return moved
    return replace(moved, evened=tuple(await store.break_even(pipeline, row, entry)))


def _entry_price(lot: Row | None) -> int | None:
    """Return what a share of the lot has cost, rounded up: a stop there rather fires too early."""
    if lot is None or lot["shares_micros"] == 0:
        return None
    entry: int = -(-lot["cost_micros"] * MICROS // lot["shares_micros"])
    return min(max(entry, 1), MICROS - 1)
