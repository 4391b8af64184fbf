"""Decide when a trigger fires, for how much and at what limit. Pure.

The price is what the size would really fetch, the volume-weighted bid: never mid, never last. What
finds no bid counts as sold for nothing where a high price fires or raises a peak: a few shares
bid for high up are not the size's price. A stop-loss leaves them out: that nobody bids is no loss
yet. A stop-loss is judged before a take-profit. A trailing stop keeps the best price that it has
seen while active, its peak, and is tested before it ratchets.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from services.guard.core import ladder
from tradingtools.domain.book import Book, BookStatus, Sale, sell_into
from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import Rung, TriggerType

RISING = frozenset({TriggerType.TAKE_PROFIT, TriggerType.LADDER})
"""These fire at a price or above it, all other priced ones at it or below it."""
REPORTED_MICROS = 10_000
"""The history shows a peak that is so far above the last one it showed: a cent."""


Tick = tuple[int, int]
"""A book's revision and its time at the venue."""
LotKey = tuple[str, str, str]
"""Wallet, asset, origin."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trigger and where it stands. Amounts in micros."""

    id: str
    follower_proxy: str
    asset_id: str
    origin: str
    type: TriggerType
    price_micros: int | None
    """Where it fires, a trailing stop becomes active; None for a time stop and a ladder."""
    size_micros: int | None
    """Shares to sell in all; None: whatever the lot holds."""
    status: TriggerStatus
    version: int
    generation: int = 0
    """How often it was armed again."""
    callback_micros: int | None = None
    """How far below its peak a trailing stop fires, USDC per share ..."""
    callback_ppm: int | None = None
    """... or in millionths of the peak."""
    peak_micros: int | None = None
    """The best price since a trailing stop became active; None: it is not active yet."""
    fire_at_ms: int | None = None
    """When a time stop fires, milliseconds since 1970."""
    sold_micros: int = 0
    """What its exits have sold so far; no lot is in question for it again."""
    rungs: tuple[Rung, ...] = ()
    """Of a ladder, lowest price first."""
    rungs_done: int = 0
    """Rungs whose exits have ended."""
    rungs_fired: int = 0
    """Those, and the ones that are being sold."""
    basis_micros: int | None = None
    """What a ladder began with; None: no rung of it was reached yet."""
    two_ticks: bool = False
    """It fires only when two books in a row reach its price."""
    made_for: str = ""
    """The fill that opened the position, of a subscription's default; empty: made by a caller."""
    tick: Tick | None = None
    """The book that was the first of two; forgotten with the process, and then counted anew."""


def lot_of(trigger: Trigger) -> LotKey:
    """Return the lot that a trigger sells."""
    return trigger.follower_proxy, trigger.asset_id, trigger.origin


def tick_of(book: Book) -> Tick:
    """Return what tells one book of an asset from the next."""
    return book.revision, book.book_ms


class Judgement(Enum):
    """The decision on a trigger by a mark."""

    NOTHING = auto()
    SUSPEND = auto()
    ARM = auto()
    """The book is good again; judged at once on it once it is armed."""
    RATCHET = auto()
    """A trailing stop has seen a new peak."""
    NOTE = auto()
    """The first of two ticks that it wants."""
    UNNOTE = auto()
    """The second tick did not reach its price."""
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
        return _confirmed(trigger, book)
    if new_peak(trigger, sale):
        return Judgement.RATCHET
    return Judgement.NOTHING if trigger.tick is None else Judgement.UNNOTE


def _confirmed(trigger: Trigger, book: Book) -> Judgement:
    if not trigger.two_ticks or trigger.tick not in (None, tick_of(book)):
        return Judgement.FIRE
    return Judgement.NOTE if trigger.tick is None else Judgement.NOTHING


def sale_of(trigger: Trigger, lot_micros: int, book: Book) -> Sale | None:
    """Return what the size that fires next would fetch; None without a bid."""
    return sell_into(book.bids, next_size(trigger, lot_micros))


def left(trigger: Trigger, lot_micros: int) -> int:
    """Return the shares that the trigger may still sell, never more than are held."""
    if trigger.size_micros is None:
        return lot_micros
    return max(0, min(trigger.size_micros - trigger.sold_micros, lot_micros))


def next_size(trigger: Trigger, lot_micros: int, through: int | None = None) -> int:
    """Return the shares that fire next; a ladder's next rung's, or up to ``through``."""
    available = left(trigger, lot_micros)
    if not trigger.rungs:
        return available
    return ladder.rung_shares(
        trigger.rungs,
        done=trigger.rungs_done,
        through=trigger.rungs_done + 1 if through is None else through,
        basis_micros=available if trigger.basis_micros is None else trigger.basis_micros,
        left_micros=available,
    )


def rungs_reached(trigger: Trigger, lot_micros: int, book: Book) -> int:
    """Return how many rungs have fired after this book; 0 for other kinds."""
    available = left(trigger, lot_micros)
    return ladder.climbed(
        trigger.rungs,
        done=trigger.rungs_done,
        basis_micros=available if trigger.basis_micros is None else trigger.basis_micros,
        left_micros=available,
        bids=book.bids,
    )


def still_needed(trigger: Trigger, lot_micros: int, exit_sold_micros: int) -> int:
    """Return the shares that the exit under way still wants to sell.

    Args:
        trigger: fired; with what all its exits have sold.
        lot_micros: shares that its lot holds.
        exit_sold_micros: what this exit's slices have sold.
    """
    available = left(trigger, lot_micros)
    if not trigger.rungs or trigger.basis_micros is None:
        return available
    whole = ladder.rung_shares(
        trigger.rungs,
        done=trigger.rungs_done,
        through=trigger.rungs_fired,
        basis_micros=trigger.basis_micros,
        left_micros=available + exit_sold_micros,
    )
    return max(0, min(whole - exit_sold_micros, available))


def reached(trigger: Trigger, sale: Sale, now_ms: int) -> bool:
    """Return whether what the size fetches, or the time, is where the trigger fires."""
    if trigger.fire_at_ms is not None:
        return now_ms >= trigger.fire_at_ms
    price = fire_price(trigger)
    if price is None:
        return False
    # Products, not averages: a rounded average misses a bid that is exactly the trigger's price.
    if trigger.type in RISING:
        return sale.product >= price * sale.desired_micros
    return sale.product <= price * sale.size_micros


def fire_price(trigger: Trigger) -> int | None:
    """Return the price at which it fires as it stands, a ladder's next rung; None: at none."""
    if trigger.rungs:
        after = trigger.rungs[trigger.rungs_done :]
        return after[0].price_micros if after else None
    if trigger.type is not TriggerType.TRAILING_STOP:
        return trigger.price_micros
    return None if trigger.peak_micros is None else stop_below(trigger, trigger.peak_micros)


def stop_below(trigger: Trigger, peak_micros: int) -> int:
    """Return where a trailing stop fires below a peak, rounded up to the micro: rather too
    early."""
    if trigger.callback_micros is not None:
        return peak_micros - trigger.callback_micros
    return -(-peak_micros * (MICROS - (trigger.callback_ppm or 0)) // MICROS)


def lowest_peak(trigger: Trigger) -> int | None:
    """Return the lowest price that is a new peak of a trailing stop; None: it is no such
    trigger."""
    if trigger.type is not TriggerType.TRAILING_STOP:
        return None
    return trigger.price_micros if trigger.peak_micros is None else trigger.peak_micros + 1


def seen_peak(average_micros: int) -> int:
    """Return the price that a trailing stop sees, given what each share of its size fetches: a
    share is worth less than one dollar."""
    return min(average_micros, MICROS - 1)


def new_peak(trigger: Trigger, sale: Sale) -> int | None:
    """Return the peak that a trailing stop ratchets to; None: it stays as it is."""
    lowest, seen = lowest_peak(trigger), seen_peak(sale.whole_average_micros)
    return seen if lowest is not None and seen >= lowest else None
