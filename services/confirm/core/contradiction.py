"""Decide whether what insiders-api reports under a key can be our order. Pure.

Before it: an answer by key. After it: booking, a call for a human, or nothing. A contradiction is
never booked: nobody can say which half of it is true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from services.confirm.core.booking import Action, FillStatus, steps
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class SentOrder:
    """The order as it was sent."""

    side: str
    asset_id: str
    follower_proxy: str
    size_micros: int
    venue_order_id: str
    """Empty while insiders-api has not named one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """One of its fills as it was booked. Amounts in micros."""

    status: FillStatus
    size_micros: int
    notional_micros: int
    fee_micros: int


class Finding(Enum):
    """The meaning of an answer under our key for what is booked."""

    SAME = auto()
    """Our order, and nothing that was not known."""
    NEWS = auto()
    """Our order, with fills to book or to change."""
    CONTRADICTION = auto()


def contradiction(ours: SentOrder, booked: Mapping[str, Booked], answer: VenueOrder) -> str:
    """Return why an answer cannot be about our order, in words; empty when it can.

    What the answer leaves out says nothing.
    """
    pairs: tuple[tuple[str, object, object], ...] = (
        ("side", ours.side, answer.side or ours.side),
        ("asset", ours.asset_id, answer.asset_id or ours.asset_id),
        ("wallet", ours.follower_proxy, answer.follower_proxy or ours.follower_proxy),
        ("size", ours.size_micros, ours.size_micros if answer.size_micros is None
         else answer.size_micros),
        ("order id", ours.venue_order_id or answer.order_id,
         answer.order_id or ours.venue_order_id),
    )  # fmt: skip
    for name, mine, theirs in pairs:
        if mine != theirs:
            return f"another {name}: ours {mine}, reported {theirs}"
    for trade in answer.trades:
        known = booked.get(trade.trade_id)
        if known is not None and (change := _change(known, trade)):
            return f"trade {trade.trade_id} {change}"
    filled = _filled(booked, answer)
    return f"filled {filled} of {ours.size_micros}" if filled > ours.size_micros else ""


def _change(known: Booked, trade: VenueTrade) -> str:
    """Return how a booked trade was altered; an older status is a late answer, and says nothing."""
    before = (known.size_micros, known.notional_micros, known.fee_micros)
    now = (trade.size_micros, trade.notional_micros, trade.fee_micros)
    if before != now:
        return f"has other amounts: booked {before}, reported {now}"
    reversed_ends = {
        (FillStatus.CONFIRMED, TradeStatus.FAILED),
        (FillStatus.FAILED, TradeStatus.CONFIRMED),
    }
    if (known.status, trade.status) in reversed_ends:
        return f"was final as {known.status}, reported {trade.status}"
    return ""


def _filled(booked: Mapping[str, Booked], answer: VenueOrder) -> int:
    """Return the most that stands by what is booked and reported together."""
    sizes = {key: fill.size_micros for key, fill in booked.items()
             if fill.status is not FillStatus.FAILED}  # fmt: skip
    for trade in answer.trades:
        if trade.status is TradeStatus.FAILED:
            sizes.pop(trade.trade_id, None)
        elif trade.trade_id not in booked:
            sizes[trade.trade_id] = trade.size_micros
    return sum(sizes.values())


def finding(ours: SentOrder, booked: Mapping[str, Booked], answer: VenueOrder) -> Finding:
    """Judge an answer under our key."""
    if contradiction(ours, booked, answer):
        return Finding.CONTRADICTION
    statuses = {key: fill.status for key, fill in booked.items()}
    moving = any(step.action is not Action.NOTE for step in steps(statuses, answer))
    return Finding.NEWS if moving else Finding.SAME


_S, _F = OrderState, Finding
_NEVER_THERE = frozenset({FailedKind.UNSENT, FailedKind.REJECTED})

FOLLOWS: dict[tuple[OrderState, Finding], OrderState] = {
    (_S.UNKNOWN, _F.SAME): _S.SUBMITTED,
    (_S.UNKNOWN, _F.NEWS): _S.SUBMITTED,
    (_S.UNKNOWN, _F.CONTRADICTION): _S.DEAD,
    (_S.SUBMITTED, _F.CONTRADICTION): _S.DEAD,
    (_S.DEAD, _F.SAME): _S.SUBMITTED,
    (_S.DEAD, _F.NEWS): _S.SUBMITTED,
    (_S.CONFIRMED, _F.NEWS): _S.RESURRECTED,
    (_S.CONFIRMED, _F.CONTRADICTION): _S.RESURRECTED,
    (_S.FAILED, _F.NEWS): _S.RESURRECTED,
    (_S.FAILED, _F.CONTRADICTION): _S.RESURRECTED,
    (_S.LOST, _F.SAME): _S.RESURRECTED,
    (_S.LOST, _F.NEWS): _S.RESURRECTED,
    (_S.LOST, _F.CONTRADICTION): _S.RESURRECTED,
}
"""Where an order goes when its key is found; what is not here stays where it is.

A DEAD or RESURRECTED order that contradicts itself stays: a human has been called, and going round
would call again and again.
"""


def follows(state: OrderState, failed_kind: FailedKind | None, found: Finding) -> OrderState | None:
    """Return the state that a finding leads to; None: it stays.

    Args:
        state: where the order stands.
        failed_kind: of a FAILED order; unsent or rejected, its mere existence is a breach.
        found: what was found under its key.
    """
    if state is _S.FAILED and failed_kind in _NEVER_THERE:
        return _S.RESURRECTED
    return FOLLOWS.get((state, found))
