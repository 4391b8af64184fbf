"""What follows when a trigger's exit order has ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.order_states import FailedKind, OrderState


class Next(Enum):
    """What becomes of the trigger."""

    NOTHING = auto()
    """The exit has not ended, or a human has to end it."""
    DONE = auto()
    SLICE = auto()
    """Sell the rest under the next key."""
    REARM = auto()
    """Nothing was sent, or all of it was undone: armed under a new generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last exit order and what is left. Amounts in micros."""

    state: OrderState
    failed_kind: FailedKind | None
    sold_micros: int
    """By all slices of this generation."""
    size_micros: int | None
    """What the trigger was to sell in all; None: the lot."""
    lot_micros: int
    min_size_micros: int


def after_exit(ended: Ended) -> Next:
    """Decide; what is left below the market's minimum cannot be sold and ends the trigger."""
    if ended.state not in (OrderState.CONFIRMED, OrderState.FAILED, OrderState.LOST):
        return Next.NOTHING
    nothing_sent = ended.failed_kind in (FailedKind.UNSENT, FailedKind.UNDONE)
    if nothing_sent and ended.sold_micros == 0:
        return Next.REARM
    if left(ended) < max(ended.min_size_micros, 1):
        return Next.DONE
    return Next.SLICE


def left(ended: Ended) -> int:
    """Shares that the trigger still has to sell."""
    if ended.size_micros is None:
        return ended.lot_micros
    return max(0, min(ended.size_micros - ended.sold_micros, ended.lot_micros))


def pause_ms(slice_number: int) -> int:
    """Before the next slice: 250 ms, doubling to 8 s; a fresh buy may not be settled yet."""
    return min(250 << min(slice_number, 5), 8_000)
