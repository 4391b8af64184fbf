"""Filters of a subscription, judged before any size.

Pure. Each rule is a function that gives the numbers it compared, or None; the first that objects
names the reason. Before it come state, key and age; after it the size. They are judged for a copy's
first part only: what was begun is finished under the caps.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.router.core import doubtful_book, leader_filter
from services.router.core.caps import Exposure, Skip
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import CopySettings, OppositeSide, Sides
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.reasons import Reason

MILLIS = 1000


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of the filters: a leader's buy, the book and what is held."""

    price_micros: int
    notional_micros: int
    book: Book
    held: Exposure
    now_ms: int
    leader: LeaderFacts | None = None
    """Of the snapshot that the router has; None: nothing is known of him."""


def _side(settings: CopySettings, _signal: Signal) -> str | None:
    return "a buy; only sells are copied" if settings.sides is Sides.SELLS else None


def _price_band(settings: CopySettings, signal: Signal) -> str | None:
    price, low, high = signal.price_micros, settings.min_price_micros, settings.max_price_micros
    if low is not None and price < low:
        return f"leader's price {to_text(price)} < {to_text(low)}"
    if high is not None and price > high:
        return f"leader's price {to_text(price)} > {to_text(high)}"
    return None


def _leader_minimum(settings: CopySettings, signal: Signal) -> str | None:
    least = settings.min_leader_micros
    if least is not None and signal.notional_micros < least:
        return f"leader's {to_text(signal.notional_micros)} USDC < {to_text(least)}"
    return None


def _listed(name: str, allowed: tuple[str, ...], denied: tuple[str, ...]) -> str | None:
    if name in denied:
        return f"{name} is denied"
    if allowed and name not in allowed:
        return f"{name} is not among the {len(allowed)} allowed"
    return None


def _market(settings: CopySettings, signal: Signal) -> str | None:
    condition = signal.book.market.condition_id
    return _listed(condition, settings.markets_allowed, settings.markets_denied)


def _category(settings: CopySettings, signal: Signal) -> str | None:
    category = signal.book.market.category
    return _listed(category, settings.categories_allowed, settings.categories_denied)


def _near_end(settings: CopySettings, signal: Signal) -> str | None:
    least, end_ms = settings.min_seconds_to_end, signal.book.market.end_ms
    if least is None:
        return None
    if end_ms is None:
        return "the market's end is not known"
    left_ms = end_ms - signal.now_ms
    return f"{left_ms} ms left < {least * MILLIS} ms" if left_ms < least * MILLIS else None


def _opposite(settings: CopySettings, signal: Signal) -> str | None:
    held = signal.held
    if settings.opposite_side is OppositeSide.COPY:
        return None
    if settings.opposite_side is OppositeSide.SKIP and held.leader_on_both:
        return "the leader bought both outcomes"
    return "the other outcome is held" if held.holds_other_outcome else None


def _positions(settings: CopySettings, signal: Signal) -> str | None:
    most, held = settings.max_positions, signal.held
    if most is None or held.holds_outcome or held.positions < most:
        return None
    return f"{held.positions} outcomes held, {most} allowed"


def _buys(settings: CopySettings, signal: Signal) -> str | None:
    most = settings.max_buys_per_outcome
    if most is None or signal.held.buys < most:
        return None
    return f"{signal.held.buys} buys of this outcome, {most} allowed"


def _spread(settings: CopySettings, signal: Signal) -> str | None:
    most, book = settings.max_spread_micros, signal.book
    if most is None or not book.usable:
        return None
    ask = book.asks[0][0] if book.asks else MICROS
    bid = book.bids[0][0] if book.bids else 0
    if ask - bid <= most:
        return None
    return f"ask {to_text(ask)} - bid {to_text(bid)} = {to_text(ask - bid)} > {to_text(most)}"


def _spread_unseen(settings: CopySettings, signal: Signal) -> str | None:
    return doubtful_book.spread_unseen(settings, signal.book)


_Rules = tuple[tuple[Reason, Callable[[CopySettings, Signal], str | None]], ...]

BY_HOLDING: _Rules = (
    (Reason.OPPOSITE_SIDE, _opposite),
    (Reason.MAX_POSITIONS, _positions),
    (Reason.MAX_BUYS, _buys),
)
"""Those that look at nothing but what is held."""
_RULES: _Rules = (
    (Reason.SIDE_FILTERED, _side),
    (Reason.LEADER_TOO_SMALL, _leader_minimum),
    (Reason.PRICE_BAND, _price_band),
    (Reason.MARKET_FILTERED, _market),
    (Reason.CATEGORY_FILTERED, _category),
    (Reason.NEAR_END, _near_end),
    *BY_HOLDING,
    (Reason.SPREAD, _spread),
    (Reason.BOOK_STALE, _spread_unseen),
)


def objection(settings: CopySettings, signal: Signal, rules: _Rules = _RULES) -> Skip | None:
    """Return the first rule that objects, with what it compared."""
    if settings.leader is not None and rules is _RULES:
        refused = leader_filter.objection(settings.leader, signal.leader, signal.now_ms)
        if refused is not None:
            return refused
    for reason, rule in rules:
        detail = rule(settings, signal)
        if detail is not None:
            return Skip(reason, detail)
    return None
