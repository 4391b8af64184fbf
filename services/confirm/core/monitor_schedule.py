"""Decide how long and how often an ended order is still looked up. Pure.

A venue gateway that breaks its promises is found only by looking after the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.order_states import OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Spans in milliseconds."""

    ended_ms: int
    """An ended order is watched so long, counted from its end or from its horizon."""
    dead_ms: int
    """A DEAD or RESURRECTED order is asked for so long."""
    first_ms: int
    """The shortest pause."""
    longest_ms: int
    """The longest pause."""


def next_check_ms(
    state: OrderState, since_ms: int, horizon_ms: int, now_ms: int, patience: Patience
) -> int | None:
    """Return milliseconds until the next question; None: it is not asked for any more.

    The pause is the age, within its bounds, so it doubles and needs no count that a restart loses.

    Args:
        state: where the order stands.
        since_ms: since when it stands there.
        horizon_ms: from when on nothing new can be accepted under its key.
        now_ms: the present.
        patience: how long and how often.
    """
    unresolved = state in (OrderState.DEAD, OrderState.RESURRECTED)
    if unresolved:
        over = since_ms + patience.dead_ms
    else:
        over = max(since_ms, horizon_ms) + patience.ended_ms
    if now_ms >= over:
        return None
    return min(max(now_ms - since_ms, patience.first_ms), patience.longest_ms)
