"""When a trigger fires, and for how much at what limit. Pure.

The price is what the size would really fetch, the volume-weighted bid: never mid, never last. A
stop-loss is judged before a take-profit. A trailing stop keeps the best price that it has seen
while active, its peak, and is tested before it ratchets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.book import Book, BookStatus, Sale, sell_into
from tradingtools.domain.money import MICROS, ceil_to, floor_to
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType

SIZE_STEP_MICROS = 10_000
"""Sizes have two decimals at every tick (CLOB order rules)."""
WIDEST_PPM = 500_000
TOLD_MICROS = 10_000
"""The history tells a peak that is so far above the last one it told: a cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger and where it stands. Amounts in micros."""

    id: str
    follower_proxy: str
    asset_id: str
    origin: str
    type: TriggerType
    price_micros: int | None
    """Where it fires, a trailing stop becomes active; None for a time stop."""
    size_micros: int | None
    """Shares to sell in all; None: whatever the lot holds."""
    status: TriggerStatus
    version: int
    callback_micros: int | None = None
    """How far below its peak a trailing stop fires, USDC per share ..."""
    callback_ppm: int | None = None
    """... or in millionths of the peak."""
    peak_micros: int | None = None
    """The best price since a trailing stop became active; None: it is not active yet."""
    peak_noted_micros: int | None = None
    """The last peak that its history tells."""
    fire_at_ms: int | None = None
    """When a time stop fires, milliseconds since 1970."""


class Judgement(Enum):
    """What a mark asks of a trigger."""

    NOTHING = auto()
    SUSPEND = auto()
    ARM = auto()
    """The book is good again; judged at once on it once it is armed."""
    RATCHET = auto()
    """A trailing stop has seen a new peak."""
    FIRE = auto()
    RESOLVE = auto()


def judge(trigger: Trigger, lot_micros: int, book: Book, now_ms: int) -> Judgement:
    """Judge an ARMED or SUSPENDED trigger on a new mark.

    Args:
        trigger: the trigger.
        lot_micros: shares that its lot holds.
        book: the asset's newest book.
        now_ms: the time, milliseconds since 1970.
    """
    if book.market.payout_micros is not None:
        return Judgement.RESOLVE
    if trigger.status not in (TriggerStatus.ARMED, TriggerStatus.SUSPENDED) or lot_micros <= 0:
        return Judgement.NOTHING
    sale = sale_of(trigger, lot_micros, book)
    if book.status is not BookStatus.FRESH or sale is None:
        suspended = trigger.status is TriggerStatus.SUSPENDED
        return Judgement.NOTHING if suspended else Judgement.SUSPEND
    if trigger.status is TriggerStatus.SUSPENDED:
        return Judgement.ARM
    if reached(trigger, sale, now_ms):
        return Judgement.FIRE
    return Judgement.RATCHET if new_peak(trigger, sale) else Judgement.NOTHING


def sale_of(trigger: Trigger, lot_micros: int, book: Book) -> Sale | None:
    """What the trigger's size would fetch; None without a bid."""
    size = trigger.size_micros
    return sell_into(book.bids, lot_micros if size is None else min(size, lot_micros))


def reached(trigger: Trigger, sale: Sale, now_ms: int) -> bool:
    """Whether what the size fetches, or the time, is where the trigger fires."""
    if trigger.fire_at_ms is not None:
        return now_ms >= trigger.fire_at_ms
    price = fire_price(trigger)
    if price is None:
        return False
    # Products, not averages: a rounded average misses a bid that is exactly the trigger's price.
    asked = price * sale.size_micros
    if trigger.type is TriggerType.TAKE_PROFIT:
        return sale.product >= asked
    return sale.product <= asked


def fire_price(trigger: Trigger) -> int | None:
    """The price at which it fires as it stands; None: at none.

    A trailing stop's is rounded up to the micro: it rather fires too early.
    """
    if trigger.type is not TriggerType.TRAILING_STOP:
        return trigger.price_micros
    if trigger.peak_micros is None:
        return None
    if trigger.callback_micros is not None:
        return trigger.peak_micros - trigger.callback_micros
    return -(-trigger.peak_micros * (MICROS - (trigger.callback_ppm or 0)) // MICROS)


def new_peak(trigger: Trigger, sale: Sale) -> int | None:
    """The peak that a trailing stop ratchets to; None: it stays as it is."""
    if trigger.type is not TriggerType.TRAILING_STOP or trigger.price_micros is None:
        return None
    seen = sale.average_micros
    if trigger.peak_micros is None:
        return seen if seen >= trigger.price_micros else None
    return seen if seen > trigger.peak_micros else None


def worth_telling(trigger: Trigger, peak_micros: int) -> bool:
    """Whether the history tells of a new peak: the first, and then each cent."""
    noted = trigger.peak_noted_micros
    return noted is None or peak_micros >= noted + TOLD_MICROS


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
