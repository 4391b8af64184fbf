"""Size one follower's copy of a leader's buy, and set its limit. Pure, in micros.

Rounding goes against taking risk: limit and size round down.
Before it come the filters, and `caps.py`: the money that the mode of sizing gives, and every cap;
after it the order. `selling.py` has the other side.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from services.router.core import doubtful_book
from services.router.core.caps import Exposure, Headroom, Skip, rooms, tightest
from services.router.core.fees import SIZE_STEP_MICROS, reserved_money, size_within
from services.router.core.sizing_modes import mode_money
from tradingtools.domain.book import Book, Market, depth
from tradingtools.domain.copy_settings import BelowMinimum
from tradingtools.domain.money import MICROS, ceil_to, floor_to, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription

MIN_DEPTH_MICROS = 500_000
"""An entry is skipped when the book holds less than this part of its size within the limit, unless
the subscription says otherwise."""


class Sized(msgspec.Struct, frozen=True):
    """An order's size and limit; ``shortfall`` says why it is not all that was allowed."""

    size_micros: int
    limit_micros: int
    shortfall: Reason = Reason.NONE
    detail: str = ""
    small_micros: int = 0
    """Exits: shares that are left to the leader's next sell."""


class SizingInput(msgspec.Struct, frozen=True, kw_only=True):
    """The buy that an entry follows."""

    price_micros: int
    """The leader's price of what is new in the trade."""
    leader_micros: int
    """USDC of the whole leader trade as far as it is known."""
    leader_equity_micros: int | None = None
    equity_micros: int | None = None
    """Of both wallets when the first part was sized; None: unknown."""
    ordered_micros: int = 0
    """USDC reserved by the parts so far."""
    accrued_micros: int = 0
    """USDC that other copies of this outcome left to this one; less than zero when they spent what
    this one had left."""


def limit_price(
    price_micros: int,
    slippage_micros: int,
    tick_micros: int,
    max_price_micros: int | None = None,
) -> int | None:
    """Return the highest price that is still a copy of a buy; None: no limit is valid.

    Floor to the tick of min(P x (1 + slippage), max price, 1 - tick). Valid limits are multiples of
    the tick in [tick, 1 - tick].
    """
    worst = min(price_micros * (MICROS + slippage_micros) // MICROS, MICROS - tick_micros)
    if max_price_micros is not None:
        worst = min(worst, max_price_micros)
    limit = floor_to(worst, tick_micros)
    return limit if limit >= tick_micros else None


def smallest(market: Market) -> int:
    """Return the smallest order of a market, at least one step."""
    return max(market.min_size_micros, SIZE_STEP_MICROS)


def size_entry(
    subscription: Subscription, book: Book, sizing_input: SizingInput, held: Exposure
) -> Sized | Skip:
    """Size the next part of an entry.

    Args:
        subscription: as it was when part 0 was sized.
        book: of the asset; `doubtful_book` says what one that cannot be trusted is good for.
        sizing_input: what is to be followed.
        held: what is held and reserved, the parts so far included.
    """
    market, settings = book.market, subscription.settings
    limit = limit_price(
        sizing_input.price_micros,
        subscription.slippage_micros,
        market.tick_micros,
        settings.max_price_micros,
    )
    if limit is None:
        return Skip(
            Reason.PRICE_OUT_OF_RANGE, f"leader's price {to_text(sizing_input.price_micros)}"
        )
    given = mode_money(
        subscription,
        sizing_input.leader_micros,
        sizing_input.leader_equity_micros,
        sizing_input.equity_micros,
    )
    if isinstance(given, Skip):
        return given
    desired = given + sizing_input.accrued_micros - sizing_input.ordered_micros
    room = tightest(desired, rooms(subscription, sizing_input.ordered_micros, held))
    size = size_within(room.micros, limit, market.fee_rate_micros)
    if size == 0 and sizing_input.ordered_micros and room.reason is Reason.NONE:
        # What is left buys not one step more: all that was allowed is ordered.
        return Skip(Reason.NONE, "")
    if size < smallest(market):
        small = _Small(limit, size, given, room)
        found = _below_minimum(subscription, market, sizing_input, held, small)
        if isinstance(found, Skip):
            return found
        size = found
    detail = ""
    if room.reason:
        detail = f"{room.detail} leaves {to_text(room.micros)} < {to_text(desired)} USDC"
    full = Sized(size, limit, room.reason, detail)
    if not book.usable:
        return doubtful_book.objection(settings, book) or full
    return _within_depth(full, book, settings.min_depth_micros)


@dataclass(frozen=True, slots=True)
class _Small:
    """A copy below the market's minimum."""

    limit_micros: int
    size_micros: int
    given_micros: int
    room: Headroom


def _below_minimum(
    subscription: Subscription,
    market: Market,
    sizing_input: SizingInput,
    held: Exposure,
    small: _Small,
) -> int | Skip:
    """Return the size that is ordered after all, or why none is."""
    minimum = ceil_to(smallest(market), SIZE_STEP_MICROS)
    reason, what = small.room.reason, small.room
    detail = (
        f"{to_text(max(what.micros, 0))} USDC at {to_text(small.limit_micros)} is"
        f" {to_text(small.size_micros)} shares < minimum {to_text(minimum)}"
    )
    if reason is not Reason.NONE or sizing_input.ordered_micros:
        return Skip(reason or Reason.BELOW_MINIMUM, detail)
    policy = subscription.settings.below_minimum
    if policy is BelowMinimum.ACCUMULATE:
        return Skip(Reason.ACCUMULATING, detail, accrued_micros=small.given_micros)
    if policy is BelowMinimum.SKIP or what.micros <= 0:
        return Skip(Reason.BELOW_MINIMUM, detail)
    cost = reserved_money(minimum, small.limit_micros, market.fee_rate_micros)
    least = tightest(cost, rooms(subscription, sizing_input.ordered_micros, held))
    if least.reason is not Reason.NONE:
        return Skip(least.reason, f"{least.detail} < {to_text(cost)} USDC of the minimum order")
    return minimum


def _within_depth(full: Sized, book: Book, least_micros: int | None) -> Sized | Skip:
    size, limit, minimum = full.size_micros, full.limit_micros, smallest(book.market)
    best = book.asks[0][0] if book.asks else MICROS
    if best > limit:
        return Skip(Reason.SLIPPAGE, f"ask {to_text(best)} > limit {to_text(limit)}")
    there = depth(book.asks, limit, buying=True, enough_micros=size)
    least = MIN_DEPTH_MICROS if least_micros is None else least_micros
    if there * MICROS < size * least:
        return Skip(
            Reason.THIN_BOOK,
            f"{to_text(there)} of {to_text(size)} shares within {to_text(limit)}"
            f" < {to_text(least)}",
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
