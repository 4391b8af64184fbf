"""Turn an operator's resolution of an order into bookings. Pure. Amounts in micros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.confirm.core.booking import Action, FillStatus, Step
from services.confirm.core.contradiction import Booked
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.venue_order import TradeStatus, VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDecision:
    """The finding of an operator about an order."""

    to_state: OrderState
    filled: tuple[int, int, int] | None
    """Size, notional and fee that stand in all; None: what is booked."""
    trade_id: str
    """For what has to be booked in addition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionPlan:
    """The way it is carried out, or why it is not."""

    steps: tuple[Step, ...] = ()
    failed_kind: FailedKind | None = None
    refused: str = ""


def resolve(
    decision: OperatorDecision, size_micros: int, booked: Mapping[str, Booked]
) -> ResolutionPlan:
    """Turn an operator's word into bookings.

    CONFIRMED: what is booked becomes final, what was filled beyond it is one more trade. FAILED:
    what is booked and not final is undone; a final fill cannot be talked away.
    """
    standing = {k: b for k, b in booked.items() if b.status is not FillStatus.FAILED}
    matched = {k: b for k, b in standing.items() if b.status is FillStatus.MATCHED}
    if decision.to_state is OrderState.FAILED:
        if len(matched) < len(standing):
            return ResolutionPlan(refused="a fill of it is final; FAILED would deny it")
        kind = FailedKind.UNDONE if booked else FailedKind.KILLED
        return ResolutionPlan(steps=_each(matched, Action.UNDO), failed_kind=kind)
    sums = [(b.size_micros, b.notional_micros, b.fee_micros) for b in standing.values()]
    have = tuple(sum(column) for column in zip(*sums, strict=True)) if sums else (0, 0, 0)
    missing = tuple(a - b for a, b in zip(decision.filled or have, have, strict=True))
    if have[0] + missing[0] == 0:
        return ResolutionPlan(
            refused="filled: nothing is booked, so what was filled has to be told"
        )
    if have[0] + missing[0] > size_micros:
        return ResolutionPlan(refused=f"filled: more than the {size_micros} that were ordered")
    if min(missing) < 0 or (missing[0] == 0 and any(missing)):
        return ResolutionPlan(refused=f"filled: does not contain what is booked, {have}")
    more: tuple[Step, ...] = ()
    if missing[0]:
        size, notional, fee = missing
        trade = VenueTrade(
            trade_id=decision.trade_id, size_micros=size, notional_micros=notional, fee_micros=fee,
            status=TradeStatus.CONFIRMED,
        )  # fmt: skip
        more = (Step(Action.BOOK, trade), Step(Action.FINALISE, trade))
    return ResolutionPlan(steps=(*_each(matched, Action.FINALISE), *more))


def _each(fills: Mapping[str, Booked], action: Action) -> tuple[Step, ...]:
    status = TradeStatus.FAILED if action is Action.UNDO else TradeStatus.CONFIRMED
    return tuple(
        Step(
            action,
            VenueTrade(
                trade_id=trade_id, size_micros=fill.size_micros,
                notional_micros=fill.notional_micros, fee_micros=fill.fee_micros, status=status,
            ),
        )
        for trade_id, fill in fills.items()
    )  # fmt: skip
