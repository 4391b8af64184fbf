"""Triggers follow their lot: armed when it holds shares, cancelled when they are gone for good.

The worker calls this when a fill has moved a lot; what is decided here is decided again under the
locks of trigger and lot.
"""

from __future__ import annotations

from services.guard import store
from services.guard.claiming import Decide, Outcome, Row, as_it_is
from services.guard.core.trigger import Trigger
from services.guard.store import TriggerChange
from tradingtools.domain.money import to_text
from tradingtools.domain.trigger_states import EDITABLE, FINAL, TriggerStatus
from tradingtools.storage.postgres.pipeline import Pipeline


def follow(trigger: Trigger, shares: int) -> Decide | None:
    """Return what a lot's new size makes of a trigger; None: nothing.

    A lot that was sold out is not gone before its sales have settled: one that is undone brings the
    shares back, and the trigger is there, armed, with its peak and its rungs.
    """
    return _follow if _change(trigger, shares) is not None else None


async def _follow(pipeline: Pipeline, row: Row, lot: Row | None) -> Outcome:
    change = _change(store.trigger(row), lot["shares_micros"] if lot is not None else 0)
    if change is None:
        return as_it_is(row)
    if change.status is TriggerStatus.CANCELLED and await store.unsettled(pipeline, row):
        return as_it_is(row)
    return await _move(pipeline, row, change)


def _change(trigger: Trigger, shares: int) -> TriggerChange | None:
    if trigger.status is TriggerStatus.WAITING and shares > 0:
        detail = f"the lot holds {to_text(shares)} shares"
        return TriggerChange(status=TriggerStatus.ARMED, detail=detail)
    if trigger.status in (TriggerStatus.ARMED, TriggerStatus.SUSPENDED) and shares == 0:
        return TriggerChange(status=TriggerStatus.CANCELLED, detail="the lot is empty")
    return None


async def end_superseded(pipeline: Pipeline, row: Row, _lot: Row | None) -> Outcome:
    """End a default trigger of the position before."""
    if row["status"] not in EDITABLE:
        return as_it_is(row)
    gone = TriggerChange(status=TriggerStatus.CANCELLED, detail="a new position has begun")
    return await _move(pipeline, row, gone)


async def end_resolved(pipeline: Pipeline, row: Row, _lot: Row | None) -> Outcome:
    """End a trigger whose lot was paid out, which happens only when no exit of it is open."""
    if row["status"] in FINAL:
        return as_it_is(row)
    paid = TriggerChange(
        status=TriggerStatus.RESOLVED, detail="the market resolved, the lot was paid out"
    )
    return await _move(pipeline, row, paid)


async def _move(pipeline: Pipeline, row: Row, change: TriggerChange) -> Outcome:
    return Outcome(answers=store.change_all(pipeline, [(row, change)]))
