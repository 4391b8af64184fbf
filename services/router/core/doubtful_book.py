"""Decide about an entry whose book says nothing of depth and spread. Pure.

A book is doubtful while it is stale, crossed or not there yet. The leader's price and the limit
protect a copy without it. What a follower asks of the book besides cannot be checked then:

* ``limits.maxSpread``, or ``limits.minDepthFraction`` above zero: skipped, ``BOOK_STALE``;
* otherwise ``limits.onDoubtfulBook``: ordered without a look at the book, or skipped,
  ``BOOK_STALE``. WAIT is skipped at first, too; `deferred_entries` judges it again as soon as the
  book is good, within its time.

Exits never ask: `exit_sizing` skips nothing for a bad book.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from services.router.core.caps import Skip
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.copy_settings import DOUBTFUL_BOOK_WAIT_MS, CopySettings, DoubtfulBook
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription

COARSE_MICROS = 10_000
"""The usual tick, and a multiple of every finer one (CLOB: 0.01, 0.005, 0.0025, 0.001, 0.0001)."""
FINE_MICROS = 1_000
FINEST_MICROS = 100
EXTREME_MICROS = 40_000
"""Nearer than this to 0 or to 1 the venue makes the tick finer: 0.001 instead of 0.01."""


def needs_levels(subscription: Subscription) -> bool:
    """Return whether a copy is another one, or none, without the levels of its book.

    A shadow's fills are assumed at them.
    """
    settings = subscription.settings
    return (
        settings.shadow
        or settings.on_doubtful_book is not DoubtfulBook.COPY
        or settings.max_spread_micros is not None
        or bool(settings.min_depth_micros)
    )


def split_by_need(
    followers: Sequence[Subscription], trade: LeaderTrade, book: Book | None
) -> tuple[list[Subscription], list[Subscription]]:
    """Return who is judged by the market alone, and who waits for its book."""
    if book is None or book.status is not BookStatus.UNSEEN:
        return list(followers), []
    if not tick_is_sure(trade, book.market.tick_micros):
        return [], list(followers)
    waiting = [s for s in followers if needs_levels(s)]
    return [s for s in followers if not needs_levels(s)], waiting


def tick_is_sure(trade: LeaderTrade, tick_micros: int) -> bool:
    """Return whether a market's tick, learnt minutes ago, is still good for the leader's prices.

    The venue makes a tick finer near the extremes (its ``tick_size_change``). One that is as fine
    as any, or prices in the middle of which none shows a finer one, leave no doubt.
    """
    low, high = trade.lowest_micros, trade.highest_micros
    if tick_micros <= FINE_MICROS:
        return True
    if _shows_finer(low, tick_micros) or _shows_finer(high, tick_micros):
        return False
    return low >= EXTREME_MICROS and high <= MICROS - EXTREME_MICROS


def _shows_finer(price_micros: int, tick_micros: int) -> bool:
    """Return whether a price is on a finer grid alone. One that is on none is the average of
    several fills, as feeds tell of a taker's order, and shows nothing."""
    return price_micros % tick_micros != 0 and price_micros % FINEST_MICROS == 0


def cautious(trade: LeaderTrade, book: Book) -> Book:
    """Return a book for a decision; if it is not there, its tick is no finer than need be.

    Limits on the coarse grid are valid on any finer one, so that a tick that has become coarser
    meanwhile refuses none; a leader's price between two of its prices shows that it has not.
    """
    low, high, market = trade.lowest_micros, trade.highest_micros, book.market
    if book.status is not BookStatus.UNSEEN or market.tick_micros >= COARSE_MICROS:
        return book
    if low % COARSE_MICROS or high % COARSE_MICROS:
        return book
    if low < EXTREME_MICROS or high > MICROS - EXTREME_MICROS:
        return book
    return structs.replace(book, market=replace(market, tick_micros=COARSE_MICROS))


def spread_unseen(settings: CopySettings, book: Book) -> str | None:
    """Return why a spread that is asked for cannot be judged; None: it can, or nobody asks."""
    most = settings.max_spread_micros
    if most is None or book.usable:
        return None
    return f"spread {to_text(most)} wanted, {_said(book)}"


def objection(settings: CopySettings, book: Book) -> Skip | None:
    """Return why an entry is not ordered without its book's depth; None: it is ordered."""
    if book.usable:
        return None
    least = settings.min_depth_micros
    if least:
        return Skip(Reason.BOOK_STALE, f"depth {to_text(least)} wanted, {_said(book)}")
    match settings.on_doubtful_book:
        case DoubtfulBook.SKIP:
            return Skip(Reason.BOOK_STALE, _said(book))
        case DoubtfulBook.WAIT:
            wait = f"copied if it is good within {wait_ms(settings)} ms"
            return Skip(Reason.BOOK_STALE, f"{_said(book)}; {wait}")
        case DoubtfulBook.COPY:
            return None


def wait_ms(settings: CopySettings) -> int:
    """Return how long an entry waits for a good book; 0: not at all."""
    if settings.on_doubtful_book is not DoubtfulBook.WAIT:
        return 0
    configured = settings.doubtful_book_wait_ms
    return DOUBTFUL_BOOK_WAIT_MS if configured is None else configured


def _said(book: Book) -> str:
    return f"the book is {book.status}"
