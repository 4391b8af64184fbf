"""Size an exit when the leader sells, and choose its limit. Pure arithmetic in micros.

A late exit is better than none: nothing here is skipped for age, depth or a bad book.
"""

from __future__ import annotations

from services.router.core.caps import Skip
from services.router.core.fees import SIZE_STEP_MICROS
from services.router.core.sizing import Sized, smallest
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import ExitBelowMinimum, ExitMode
from tradingtools.domain.exit_price import limit_below
from tradingtools.domain.money import MICROS, floor_to, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription


def desired_exit(
    *,
    owned_micros: int,
    leader_sold_micros: int,
    leader_held_before_micros: int | None,
    mode: ExitMode = ExitMode.MIRROR,
) -> int:
    """Return the shares of a lot that a leader's sell asks for, in all slices together.

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
    """Return the most shares of which a leader's sell asks for no more than a part: the inverse
    of ``desired_exit``."""
    held = leader_held_before_micros
    if mode is ExitMode.ALL or held is None or held <= leader_sold_micros:
        return part_micros
    return part_micros * held // leader_sold_micros


def size_exit(
    subscription: Subscription,
    book: Book,
    *,
    price_micros: int,
    desired_micros: int,
    free_micros: int,
    below_ppm: int,
    whole: bool,
) -> Sized | Skip:
    """Size one slice of an exit.

    Args:
        subscription: for the slippage of its exits, and what becomes of small ones.
        book: of the asset; an exit is never skipped for depth.
        price_micros: the leader's price.
        desired_micros: shares still to be sold for this copy.
        free_micros: shares of the lot that no other exit has reserved.
        below_ppm: how far below the price that it goes by the slice may sell.
        whole: the leader keeps nothing: what is too small is sold, not left to his next sell.
    """
    market = book.market
    if free_micros <= 0:
        return Skip(Reason.ALREADY_SELLING, "every share of the lot is reserved")
    limit = _limit(subscription, book, price_micros, below_ppm)
    minimum = smallest(market)
    policy = subscription.settings.exit_below_minimum
    if whole or policy is ExitBelowMinimum.ROUND_UP:
        size = _nothing_left(max(desired_micros, minimum), free_micros, minimum)
    elif desired_micros < minimum:
        return _too_small(policy, desired_micros, minimum)
    else:
        size = _enough_left(min(desired_micros, free_micros), free_micros, minimum)
    size = floor_to(size, SIZE_STEP_MICROS)
    if size < minimum:
        return Skip(Reason.DUST, f"{to_text(free_micros)} shares < minimum {to_text(minimum)}")
    missing = desired_micros - size
    if missing < SIZE_STEP_MICROS:
        return Sized(size, limit)
    shares = f"{to_text(free_micros)} of {to_text(desired_micros)} shares are free"
    if free_micros - size < SIZE_STEP_MICROS:
        return Sized(size, limit, Reason.ALREADY_SELLING, shares)
    detail = f"{to_text(missing)} shares more would leave less than the minimum {to_text(minimum)}"
    return Sized(size, limit, Reason.ACCUMULATING, detail, small_micros=missing)


def _nothing_left(size_micros: int, free_micros: int, minimum: int) -> int:
    """Return the size with what could never be sold alone."""
    return free_micros if free_micros - size_micros < minimum else size_micros


def _enough_left(size_micros: int, free_micros: int, minimum: int) -> int:
    """Return the size that leaves enough for an order at the leader's next sell, if one is left
    now."""
    less = free_micros - minimum
    return min(size_micros, less) if less >= minimum else size_micros


def _too_small(policy: ExitBelowMinimum, desired_micros: int, minimum: int) -> Skip:
    detail = f"{to_text(desired_micros)} shares < minimum {to_text(minimum)}"
    if policy is ExitBelowMinimum.WAIT:
        return Skip(Reason.BELOW_MINIMUM, detail)
    return Skip(Reason.ACCUMULATING, detail, small_micros=desired_micros)


def _limit(subscription: Subscription, book: Book, price_micros: int, below_ppm: int) -> int:
    """Return the lower of the leader's price and the best bid, less the widening."""
    slippage = subscription.settings.exit_max_slippage_micros
    lowest = 0 if slippage is None else -(-price_micros * (MICROS - slippage) // MICROS)
    bid = book.bids[0][0] if book.usable and book.bids else price_micros
    return limit_below(min(bid, price_micros), below_ppm, book.market, lowest_micros=lowest)
