"""Write the lines of a trigger's history, for a person. Pure.

Comes after a decision of `trigger`; the worker stores it with the change it belongs to.
"""

from __future__ import annotations

from services.guard.core.trigger import Trigger, fire_price, next_size
from tradingtools.domain.book import Book, sell_into
from tradingtools.domain.money import MICROS, to_text

_LEVELS = 5


def fired(trigger: Trigger, lot_micros: int, book: Book, through: int = 0) -> str:
    """Return what it saw when it fired: what its size would fetch, its price, and the bids.

    Args:
        trigger: as it was before.
        lot_micros: shares that its lot held.
        book: that it fired on.
        through: rungs of a ladder that have fired with it.
    """
    sale = sell_into(book.bids, next_size(trigger, lot_micros, through or None))
    if sale is None:
        return "no bid"
    fetch = f"{to_text(sale.size_micros)} shares would fetch {to_text(sale.average_micros)}"
    bids = ", ".join(f"{to_text(size)} at {to_text(p)}" for p, size in book.bids[:_LEVELS])
    return f"{_rungs(trigger.rungs_done, through)}{fetch}{_against(trigger)}; bids {bids}"


def sold(trigger: Trigger, size_micros: int, notional_micros: int) -> str:
    """Return what was sold in the end, at which average, and how far that is from the trigger's
    price."""
    if size_micros == 0:
        return "sold 0 shares"
    average = notional_micros * MICROS // size_micros
    text = f"sold {to_text(size_micros)} shares at {to_text(average)}"
    price = fire_price(trigger)
    return text if price is None else f"{text}, {to_text(average - price)} from {to_text(price)}"


def broke_even(price_micros: int, ladder_id: str) -> str:
    """Say that a stop was moved to the entry price, and why."""
    return f"moved to the entry price {to_text(price_micros)}: a rung of {ladder_id} has sold"


def payout(book: Book) -> str:
    """Say that a market has resolved, and what a share of it pays."""
    return f"the market resolved, a share pays {to_text(book.market.payout_micros or 0)}"


def _rungs(done: int, through: int) -> str:
    if through == 0:
        return ""
    return f"rung {through}: " if through == done + 1 else f"rungs {done + 1} to {through}: "


def _against(trigger: Trigger) -> str:
    price = fire_price(trigger)
    peak = "" if trigger.peak_micros is None else f", peak {to_text(trigger.peak_micros)}"
    return peak if price is None else f", fires at {to_text(price)}{peak}"
