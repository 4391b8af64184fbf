"""When a trigger fires, and for how much at what limit. Pure.

The price is what the size would really fetch, the volume-weighted bid: never mid, never last. A
stop-loss is judged before a take-profit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from tradingtools.domain.book import Book, BookStatus, Sale, sell_into
from tradingtools.domain.money import MICROS, ceil_to, floor_to
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_states import TriggerStatus

SIZE_STEP_MICROS = 10_000
"""Sizes have two decimals at every tick (CLOB order rules)."""
WIDEST_PPM = 500_000


class TriggerType(StrEnum):
    """What makes a trigger fire. In the order in which they are judged."""

    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger and where it stands. Amounts in micros."""

    id: str
    follower_proxy: str
    asset_id: str
    origin: str
    type: TriggerType
    price_micros: int
    size_micros: int | None
    """Shares to sell in all; None: whatever the lot holds."""
    status: TriggerStatus
    version: int


class Judgement(Enum):
    """What a mark asks of a trigger."""

    NOTHING = auto()
    SUSPEND = auto()
    ARM = auto()
    """The book is good again; judged at once on it once it is armed."""
    FIRE = auto()
    RESOLVE = auto()


def judge(trigger: Trigger, lot_micros: int, book: Book) -> Judgement:
    """Judge an ARMED or SUSPENDED trigger on a new mark.

    Args:
        trigger: the trigger.
        lot_micros: shares that its lot holds.
        book: the asset's newest book.
    """
    if book.market.payout_micros is not None:
        return Judgement.RESOLVE
    if trigger.status not in (TriggerStatus.ARMED, TriggerStatus.SUSPENDED) or lot_micros <= 0:
        return Judgement.NOTHING
    sale = sell_into(book.bids, _wanted(trigger, lot_micros))
    if book.status is not BookStatus.FRESH or sale is None:
        suspended = trigger.status is TriggerStatus.SUSPENDED
        return Judgement.NOTHING if suspended else Judgement.SUSPEND
    if trigger.status is TriggerStatus.SUSPENDED:
        return Judgement.ARM
    return Judgement.FIRE if reached(trigger, sale) else Judgement.NOTHING


def reached(trigger: Trigger, sale: Sale) -> bool:
    """Whether what the size fetches is at or beyond the trigger's price."""
    # Products, not averages: a rounded average misses a bid that is exactly the trigger's price.
    asked = trigger.price_micros * sale.size_micros
    if trigger.type is TriggerType.STOP_LOSS:
        return sale.product <= asked
    return sale.product >= asked


def _wanted(trigger: Trigger, lot_micros: int) -> int:
    return lot_micros if trigger.size_micros is None else min(trigger.size_micros, lot_micros)


@dataclass(frozen=True, slots=True)
class Exit:
    """One slice of an exit."""

    size_micros: int
    limit_micros: int


def size_exit(
    book: Book,
    *,
    wanted_micros: int,
    free_micros: int,
    floor_ppm: int,
    tried: int,
) -> Exit | Reason:
    """Size one slice; the reason when it cannot be sold now.

    Args:
        book: fresh, with at least one bid.
        wanted_micros: shares that the trigger still wants to sell.
        free_micros: shares of the lot that no other exit has reserved.
        floor_ppm: how far below the lowest needed bid the limit is; each further slice adds as
            much again.
        tried: slices that the venue has tried and that left something.
    """
    market = book.market
    if free_micros <= 0:
        return Reason.ALREADY_SELLING
    size = min(wanted_micros, free_micros)
    # Less than the minimum cannot be sold alone, and must not be left over.
    minimum = max(market.min_size_micros, SIZE_STEP_MICROS)
    size = max(size, min(minimum, free_micros))
    if free_micros - size < minimum:
        size = free_micros
    size = floor_to(size, SIZE_STEP_MICROS)
    if size < minimum:
        return Reason.DUST
    sale = sell_into(book.bids, size)
    if sale is None:
        return Reason.THIN_BOOK
    below = min(floor_ppm * (tried + 1), WIDEST_PPM)
    limit = max(-(-sale.worst_micros * (MICROS - below) // MICROS), market.tick_micros)
    return Exit(size, min(ceil_to(limit, market.tick_micros), MICROS - market.tick_micros))
