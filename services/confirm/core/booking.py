"""Turn what insiders-api reports of an order into bookings and its end. Pure.

Fills are cumulative and monotone: a trade is booked when it is first seen, made final or undone
once, and never forgotten when a later answer leaves it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade


class FillStatus(StrEnum):
    """Where a booked fill stands."""

    MATCHED = "MATCHED"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class Action(StrEnum):
    """The action for one trade."""

    BOOK = "MATCHED"
    FINALISE = "CONFIRMED"
    UNDO = "UNDONE"
    NOTE = "FAILED"
    """It failed before it was booked: moves nothing, and no older answer can book it any more."""


_LEAVES = {
    Action.BOOK: FillStatus.MATCHED,
    Action.FINALISE: FillStatus.CONFIRMED,
    Action.UNDO: FillStatus.FAILED,
    Action.NOTE: FillStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One action on one trade."""

    action: Action
    trade: VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of an order."""

    state: OrderState
    failed_kind: FailedKind | None = None
    reason: Reason = Reason.NONE


def steps(known: Mapping[str, FillStatus], order: VenueOrder) -> list[Step]:
    """Return what is new in an answer.

    Args:
        known: fills that were booked, by trade id.
        order: the answer.
    """
    found: list[Step] = []
    fills: Mapping[str, FillStatus] = known
    for trade in order.trades:
        # Noted at once: an answer may name one trade twice.
        new = _steps_of(fills.get(trade.trade_id), trade)
        fills = after(fills, new)
        found += new
    return found


def _steps_of(status: FillStatus | None, trade: VenueTrade) -> list[Step]:
    found: list[Step] = []
    if status is None:
        if trade.size_micros == 0:
            return []
        if trade.status is TradeStatus.FAILED:
            return [Step(Action.NOTE, trade)]
        found.append(Step(Action.BOOK, trade))
        status = FillStatus.MATCHED
    if status is FillStatus.MATCHED and trade.status is TradeStatus.CONFIRMED:
        found.append(Step(Action.FINALISE, trade))
    elif status is FillStatus.MATCHED and trade.status is TradeStatus.FAILED:
        found.append(Step(Action.UNDO, trade))
    return found


def end(fills: Mapping[str, FillStatus], order: VenueOrder) -> End | None:
    """Return how the order ends once the steps were taken; None while it is open.

    Args:
        fills: after the steps, by trade id.
        order: the answer.
    """
    if not order.closed or FillStatus.MATCHED in fills.values():
        return None
    if FillStatus.CONFIRMED in fills.values():
        return End(state=OrderState.CONFIRMED)
    if fills or any(trade.status is TradeStatus.FAILED for trade in order.trades):
        # Also when the match was over before anybody looked: it was no want of a counterpart.
        return End(
            state=OrderState.FAILED,
            failed_kind=FailedKind.UNDONE,
            reason=Reason.SETTLEMENT_FAILED,
        )
    return End(state=OrderState.FAILED, failed_kind=FailedKind.KILLED, reason=Reason.NOTHING_FILLED)


def after(known: Mapping[str, FillStatus], taken: list[Step]) -> dict[str, FillStatus]:
    """Return the fills once the steps were taken."""
    return {**known, **{step.trade.trade_id: _LEAVES[step.action] for step in taken}}
