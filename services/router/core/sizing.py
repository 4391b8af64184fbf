"""How much of a leader trade one follower copies, at what limit. Pure arithmetic in micros.

The formulas are those of the design's copying page. Rounding goes against taking risk: a buy's
limit and size round down, a sell's limit rounds up.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.book import Book, BookStatus, Market, depth
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import (
    MICROS,
    ceil_to,
    floor_to,
    notional_ceil,
    size_for,
    to_text,
)
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription

SIZE_STEP_MICROS = 10_000
"""Sizes have two decimals at every tick (CLOB order rules)."""
MIN_DEPTH_PPM = 500_000
"""An entry is skipped when the book holds less than this part of its size within the limit."""


@dataclass(frozen=True, slots=True)
class Skip:
    """No order, and why."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Sized:
    """An order's size and limit; ``shortfall`` says why it is not all that was allowed."""

    size_micros: int
    limit_micros: int
    shortfall: Reason = Reason.NONE
    detail: str = ""


def limit_price(
    side: Side, price_micros: int, slippage_micros: int, tick_micros: int
) -> int | None:
    """The worst price that is still a copy; None when there is no valid one.

    BUY: floor to the tick of min(P x (1 + slippage), 1 - tick). SELL: ceiling to the tick of
    max(P x (1 - slippage), tick). Valid limits are multiples of the tick in [tick, 1 - tick].
    """
    highest = MICROS - tick_micros
    if side is Side.BUY:
        limit = floor_to(
            min(price_micros * (MICROS + slippage_micros) // MICROS, highest), tick_micros
        )
    else:
        worst = -(-price_micros * (MICROS - slippage_micros) // MICROS)
        # Selling for less than the leader got is what slippage allows; 1 - tick is always less.
        limit = min(ceil_to(max(worst, tick_micros), tick_micros), highest)
    return limit if tick_micros <= limit <= highest else None


def allowed_money(subscription: Subscription, leader_notional_micros: int) -> tuple[int, Reason]:
    """USDC that the whole leader trade allows, and which limit bound it (NONE: the mode)."""
    if subscription.sizing_mode is SizingMode.FIXED:
        money = subscription.sizing_micros
    else:
        money = leader_notional_micros * subscription.sizing_micros // MICROS
    cap = subscription.max_per_trade_micros
    if cap is not None and cap < money:
        return cap, Reason.CAP_PER_TRADE
    return money, Reason.NONE


def size_entry(
    subscription: Subscription,
    book: Book,
    *,
    price_micros: int,
    leader_notional_micros: int,
    ordered_money_micros: int,
    market_exposure_micros: int,
) -> Sized | Skip:
    """Size the next part of an entry.

    Args:
        subscription: as it was when part 0 was sized.
        book: of the asset; only a FRESH one is judged by its depth.
        price_micros: the leader's price of what is new in the trade.
        leader_notional_micros: of the whole leader trade as far as it is known.
        ordered_money_micros: size x limit of the parts so far.
        market_exposure_micros: USDC held at cost and reserved in this market by this
            subscription, the parts so far included.
    """
    market = book.market
    limit = limit_price(Side.BUY, price_micros, subscription.slippage_micros, market.tick_micros)
    if limit is None:
        return Skip(Reason.PRICE_OUT_OF_RANGE, f"leader's price {to_text(price_micros)}")
    allowed, bound = allowed_money(subscription, leader_notional_micros)
    money = allowed - ordered_money_micros
    cap = subscription.max_per_market_micros
    if cap is not None and cap - market_exposure_micros < money:
        money, bound = cap - market_exposure_micros, Reason.CAP_PER_MARKET
    size = floor_to(size_for(max(money, 0), limit), SIZE_STEP_MICROS)
    minimum = smallest(market)
    if size == 0 and ordered_money_micros and bound is Reason.NONE:
        # What is left buys not one step more: all that was allowed is ordered.
        return Skip(Reason.NONE, "")
    if size < minimum:
        reason = bound if bound is not Reason.NONE else Reason.BELOW_MINIMUM
        return Skip(
            reason,
            f"{to_text(max(money, 0))} USDC at {to_text(limit)} is {to_text(size)} shares"
            f" < minimum {to_text(minimum)}",
        )
    full = Sized(size, limit, bound, f"the limit leaves {to_text(money)} USDC" if bound else "")
    return _within_depth(full, book) if book.status is BookStatus.FRESH else full


def smallest(market: Market) -> int:
    """The smallest order of a market; at least a step, so that no order is of nothing."""
    return max(market.min_size_micros, SIZE_STEP_MICROS)


def _within_depth(full: Sized, book: Book) -> Sized | Skip:
    size, limit, minimum = full.size_micros, full.limit_micros, smallest(book.market)
    best = book.asks[0][0] if book.asks else MICROS
    if best > limit:
        return Skip(Reason.SLIPPAGE, f"ask {to_text(best)} > limit {to_text(limit)}")
    there = depth(book.asks, limit, buying=True)
    if there * MICROS < size * MIN_DEPTH_PPM:
        return Skip(
            Reason.THIN_BOOK,
            f"{to_text(there)} of {to_text(size)} shares within {to_text(limit)}",
        )
    cut = floor_to(min(size, there), SIZE_STEP_MICROS)
    if cut < minimum:
        return Skip(
            Reason.THIN_BOOK,
            f"{to_text(there)} shares within {to_text(limit)} < minimum {to_text(minimum)}",
        )
    if cut < size:
        return Sized(cut, limit, Reason.THIN_BOOK, f"{to_text(there)} of {to_text(size)} shares")
    return full


def wanted_exit(
    *,
    owned_micros: int,
    leader_sold_micros: int,
    leader_held_before_micros: int | None,
) -> int:
    """Shares of a lot that a leader's sell asks for, in all slices together.

    In proportion to the leader's reduction; everything when the leader is flat or when nobody
    knows what the leader held. Rounded up: leaving is what the leader did.
    """
    held = leader_held_before_micros
    if held is None or held <= leader_sold_micros:
        return owned_micros
    return min(owned_micros, -(-owned_micros * leader_sold_micros // held))


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


def reserved_money(size_micros: int, limit_micros: int) -> int:
    """What an entry sets aside: its cost at the limit, rounded up."""
    return notional_ceil(size_micros, limit_micros)
