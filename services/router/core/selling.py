"""How much of a lot is sold when its leader sells, and at what limit. Pure arithmetic in micros.

A late exit is better than none: nothing here is skipped for age, depth or a bad book. Before it
comes the leader's reduction, after it the slice.
"""

from __future__ import annotations

from services.router.core.caps import Skip
from services.router.core.fees import SIZE_STEP_MICROS
from services.router.core.sizing import Sized, limit_price, smallest
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import ExitMode
from tradingtools.domain.leader_trade import Side
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
    slices_before: int,
) -> Sized | Skip:
    """Size one slice of an exit; each slice after the first may cost one slippage more.

    Args:
        subscription: for its slippage.
        book: of the asset, for tick and minimum; an exit is never skipped for depth.
        price_micros: the leader's price.
        wanted_micros: shares still to be sold for this copy.
        free_micros: shares of the lot that no other exit has reserved.
        slices_before: slices that left something unsold.
    """
    market = book.market
    if free_micros <= 0:
        return Skip(Reason.ALREADY_SELLING, "every share of the lot is reserved")
    slippage = min(subscription.slippage_micros * (slices_before + 1), MICROS)
    limit = limit_price(Side.SELL, price_micros, slippage, market.tick_micros)
    if limit is None:
        return Skip(Reason.PRICE_OUT_OF_RANGE, f"leader's price {to_text(price_micros)}")
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
