"""How much of a lot is sold when its leader sells, and at what limit. Pure arithmetic in micros.

A late exit is better than none: nothing here is skipped for age, depth or a bad book. Before it
comes the leader's reduction, after it the slice.
"""

from __future__ import annotations

from services.router.core.caps import Skip
from services.router.core.fees import SIZE_STEP_MICROS
from services.router.core.sizing import Sized, smallest
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import ExitMode
from tradingtools.domain.exit_price import limit_below
from tradingtools.domain.money import MICROS, floor_to, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription


def wanted_exit(
    *,
    owned_micros: int,
    leader_sold_micros: int,
    leader_held_before_micros: int | None,
    mode: ExitMode = ExitMode.MIRROR,
) -> int:
    """Shares of a lot that a leader's sell asks for, in all slices together.

    In proportion to the leader's reduction; everything by the mode ALL, when the leader is flat,
    or when nobody knows what the leader held. Rounded up: leaving is what the leader did.
    """
    held = leader_held_before_micros
    if mode is ExitMode.ALL or held is None or held <= leader_sold_micros:
        return owned_micros
    return min(owned_micros, -(-owned_micros * leader_sold_micros // held))


def owned_of_part(
    *,
    part_micros: int,
    leader_sold_micros: int,
    leader_held_before_micros: int | None,
    mode: ExitMode = ExitMode.MIRROR,
) -> int:
    """The most shares of which a leader's sell asks for no more than a part: ``wanted_exit``'s
    inverse."""
    held = leader_held_before_micros
    if mode is ExitMode.ALL or held is None or held <= leader_sold_micros:
        return part_micros
    return part_micros * held // leader_sold_micros


def size_exit(
    subscription: Subscription,
    book: Book,
    *,
    price_micros: int,
    wanted_micros: int,
    free_micros: int,
    below_ppm: int,
) -> Sized | Skip:
    """Size one slice of an exit.

    Args:
        subscription: for the slippage of its exits.
        book: of the asset; an exit is never skipped for depth.
        price_micros: the leader's price.
        wanted_micros: shares still to be sold for this copy.
        free_micros: shares of the lot that no other exit has reserved.
        below_ppm: how far below the price that it goes by the slice may sell.
    """
    market = book.market
    if free_micros <= 0:
        return Skip(Reason.ALREADY_SELLING, "every share of the lot is reserved")
    limit = _limit(subscription, book, price_micros, below_ppm)
    # Less than the minimum cannot be sold alone, and must not be left over.
    minimum = smallest(market)
    size = max(wanted_micros, minimum)
    if free_micros - size < minimum:
        size = free_micros
    size = floor_to(size, SIZE_STEP_MICROS)
    if size < minimum:
        return Skip(Reason.DUST, f"{to_text(free_micros)} shares < minimum {to_text(minimum)}")
    if wanted_micros - size < SIZE_STEP_MICROS:
        return Sized(size, limit)
    return Sized(
        size,
        limit,
        Reason.ALREADY_SELLING,
        f"{to_text(free_micros)} of {to_text(wanted_micros)} shares are free",
    )


def _limit(subscription: Subscription, book: Book, price_micros: int, below_ppm: int) -> int:
    """The leader's price, or the best bid where that has fallen below it, less the widening."""
    slippage = subscription.settings.exit_max_slippage_micros
    lowest = 0 if slippage is None else -(-price_micros * (MICROS - slippage) // MICROS)
    bid = book.bids[0][0] if book.told and book.bids else price_micros
    return limit_below(min(bid, price_micros), below_ppm, book.market, lowest_micros=lowest)
