"""Plan the orders that bring a lot to its leader's position, and check an old preview. Pure.

A position is followed as if the leader bought it in one trade, at the price of now: the mode's
money for the leader's shares at the best ask, less what the lot is worth there, under the filters,
limits and caps of a copy. What is held is sold whole when the leader holds nothing, and down to the
implied size when a ratio says how large that is. Before it come holdings, lots and books; after it
the lines that are shown, and the orders that are claimed exactly so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from services.router.core import exit_sizing, filters, sizing
from services.router.core.caps import Exposure, Skip, rooms, tightest
from services.router.core.exit_plan import switched_off
from services.router.core.fees import reserved_money
from services.router.core.filters import Signal
from services.router.core.records import LotView
from services.router.core.sizing import Sized, SizingInput
from services.router.core.sizing_modes import follows_size, implied_shares, mode_money
from tradingtools.domain import ids
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.copy_settings import BelowMinimum
from tradingtools.domain.exit_price import DEFAULT_WIDENING, Widening
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import notional_ceil, notional_floor, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.resync import Line
from tradingtools.domain.subscription import Subscription, SubscriptionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The facts about one outcome that the leader or the follower holds. Amounts in micros."""

    condition_id: str
    asset_id: str
    leader_micros: int | None
    """Shares of the leader, 0: none; None: not known, or moved since it was reported."""
    lot: LotView
    cost_micros: int
    """What the lot's shares cost."""
    book: Book | None
    held: Exposure
    """Before anything of the resync."""
    leaving: bool = False
    """A sell of the leader has not sold all of its part yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedLimits:
    """The part that earlier lines of a resync take of limits that outcomes share. Micros."""

    money_micros: int = 0
    markets: tuple[tuple[str, int], ...] = ()
    positions: int = 0

    def after(self, line: Line, held: Exposure) -> UsedLimits:
        """Return the standing with a line's buy."""
        if line.side is not Side.BUY:
            return self
        return UsedLimits(
            money_micros=self.money_micros + line.money_micros,
            markets=(*self.markets, (line.condition_id, line.money_micros)),
            positions=self.positions + (not held.holds_outcome),
        )

    def on(self, held: Exposure, condition_id: str) -> Exposure:
        """Return what is held and reserved once the earlier lines are claimed."""
        market = sum(money for condition, money in self.markets if condition == condition_id)
        money = self.money_micros
        return structs.replace(
            held,
            market_micros=held.market_micros + market,
            leader_micros=held.leader_micros + money,
            total_micros=held.total_micros + money,
            day_micros=held.day_micros + money,
            budget_micros=None if held.budget_micros is None else held.budget_micros - money,
            cash_micros=None if held.cash_micros is None else held.cash_micros - money,
            positions=held.positions + self.positions,
            holds_other_outcome=held.holds_other_outcome or market > 0,
        )


def plan(
    resync_id: str,
    subscription: Subscription,
    outcomes: Iterable[Outcome],
    *,
    leader_equity_micros: int | None,
    now_ms: int,
    widening: Widening = DEFAULT_WIDENING,
) -> tuple[Line, ...]:
    """Return a line for each outcome, sells first: what they free is not counted on.

    Args:
        resync_id: makes the keys of the orders.
        subscription: as it is now.
        outcomes: in the order in which they may take from shared limits.
        leader_equity_micros: None: unknown.
        now_ms: for the filters that look at the clock.
        widening: of exits.
    """
    # A remainder is no copy that could wait for the next one, nor be rounded up again and again.
    settings = replace(subscription.settings, below_minimum=BelowMinimum.SKIP)
    judged = replace(subscription, settings=settings)
    taken, lines = UsedLimits(), []
    for outcome in outcomes:
        seen = replace(outcome, held=taken.on(outcome.held, outcome.condition_id))
        line = _line(
            resync_id, outcome, _judge(judged, seen, leader_equity_micros, now_ms, widening)
        )
        taken = taken.after(line, outcome.held)
        lines.append(line)
    return tuple(sorted(lines, key=lambda line: line.side is not Side.SELL))


@dataclass(frozen=True, slots=True)
class _Order:
    side: Side
    sized: Sized


def _line(resync_id: str, outcome: Outcome, verdict: _Order | Skip) -> Line:
    line = Line(
        condition_id=outcome.condition_id,
        asset_id=outcome.asset_id,
        leader_micros=outcome.leader_micros,
        held_micros=outcome.lot.shares_micros,
    )
    if isinstance(verdict, Skip) or outcome.book is None:
        skip = verdict if isinstance(verdict, Skip) else Skip(Reason.MARKET_UNKNOWN, "")
        return replace(line, reason=skip.reason, detail=skip.detail)
    sized, buying = verdict.sized, verdict.side is Side.BUY
    rate = outcome.book.market.fee_rate_micros
    return replace(
        line,
        side=verdict.side,
        size_micros=sized.size_micros,
        limit_micros=sized.limit_micros,
        money_micros=(reserved_money(sized.size_micros, sized.limit_micros, rate) if buying else 0),
        reason=sized.shortfall,
        detail=sized.detail,
        order_key=ids.order_key(ids.resync_copy_key(resync_id, outcome.asset_id), 0),
    )


def _judge(
    subscription: Subscription,
    outcome: Outcome,
    leader_equity: int | None,
    now_ms: int,
    widening: Widening,
) -> _Order | Skip:
    book = outcome.book
    if subscription.settings.shadow:
        return Skip(Reason.SHADOW, "")
    if outcome.leader_micros is None:
        return Skip(Reason.HOLDING_UNKNOWN, "")
    busy = _busy(outcome)
    if busy is not None:
        return busy
    if book is None:
        return Skip(Reason.MARKET_UNKNOWN, f"asset {outcome.asset_id}")
    if book.market.closed or book.market.payout_micros is not None:
        return Skip(Reason.MARKET_CLOSED, f"condition {outcome.condition_id}")
    if book.status is not BookStatus.FRESH:
        return Skip(Reason.BOOK_STALE, f"the book is {book.status}")
    excess = _excess(subscription, outcome)
    if excess:
        return _sell(subscription, outcome, book, excess, widening)
    if not outcome.leader_micros:
        return Skip(Reason.NOTHING_HELD, "neither the leader nor the lot holds any")
    return _buy(subscription, replace(outcome, book=book), leader_equity, now_ms)


def _busy(outcome: Outcome) -> Skip | None:
    """Return why nobody knows yet what the lot will hold; None: it is at rest."""
    lot = outcome.lot
    if lot.unresolved:
        return Skip(Reason.WAITING_FOR_ENTRY, f"{len(lot.unresolved)} entries are under way")
    if lot.selling:
        unsettled = f"{to_text(lot.unsettled_micros)} sold and not settled"
        return Skip(
            Reason.ALREADY_SELLING, f"{to_text(lot.free_micros)} shares are free, {unsettled}"
        )
    if outcome.leaving:
        return Skip(Reason.ALREADY_SELLING, "a sell of the leader is not done")
    return None


def _excess(subscription: Subscription, outcome: Outcome) -> int:
    """Return the shares of the lot beyond what the leader's position implies."""
    held, leader = outcome.lot.shares_micros, outcome.leader_micros or 0
    if leader == 0:
        return held
    implied = implied_shares(subscription, leader)
    if implied is None:
        return 0
    over = held - implied
    # A remainder below the market's minimum could be sold only by selling more than it.
    least = sizing.smallest(outcome.book.market) if outcome.book else 1
    return over if over >= least else 0


def _sell(
    subscription: Subscription,
    outcome: Outcome,
    book: Book,
    desired_micros: int,
    widening: Widening,
) -> _Order | Skip:
    off = switched_off(subscription)
    if off is not None:
        return off
    if not book.bids:
        return Skip(Reason.THIN_BOOK, "nobody bids")
    sized = exit_sizing.size_exit(
        subscription,
        book,
        price_micros=book.bids[0][0],
        desired_micros=desired_micros,
        free_micros=outcome.lot.free_micros,
        below_ppm=widening.below_ppm(0),
        whole=not outcome.leader_micros,
    )
    return sized if isinstance(sized, Skip) else _Order(Side.SELL, sized)


def _buy(
    subscription: Subscription, outcome: Outcome, leader_equity: int | None, now_ms: int
) -> _Order | Skip:
    book, held = outcome.book, outcome.held
    if subscription.state is not SubscriptionState.ACTIVE:
        return Skip(Reason.PAUSED, f"subscription is {subscription.state.value}")
    if book is None or not book.asks:
        return Skip(Reason.THIN_BOOK, "nobody asks")
    price = book.asks[0][0]
    position = notional_floor(outcome.leader_micros or 0, price)
    signal = Signal(
        price_micros=price, notional_micros=position, book=book, held=held, now_ms=now_ms
    )
    refused = filters.objection(subscription.settings, signal)
    if refused is not None:
        return refused
    given = mode_money(subscription, position, leader_equity, held.equity_micros)
    if isinstance(given, Skip):
        return given
    worth = _already(subscription, outcome, price)
    if given <= worth:
        return Skip(
            Reason.IN_LINE, f"implied {to_text(given)} USDC <= held {to_text(worth)} at the ask"
        )
    sizing_input = SizingInput(
        price_micros=price,
        leader_micros=position,
        leader_equity_micros=leader_equity,
        equity_micros=held.equity_micros,
        accrued_micros=-worth,
    )
    sized = sizing.size_entry(subscription, book, sizing_input, held)
    return sized if isinstance(sized, Skip) else _Order(Side.BUY, sized)


def _already(subscription: Subscription, outcome: Outcome, price_micros: int) -> int:
    """Return USDC of the implied position that the lot has, rounded up.

    Where the position's size follows from the leader's, at the price of now; where it is an amount
    of money, what was spent counts, too: a fall of the price is no reason to buy more.
    """
    worth = notional_ceil(outcome.lot.shares_micros, price_micros)
    if follows_size(subscription.sizing_mode):
        return worth
    return max(worth, outcome.cost_micros)


def objection(
    subscription: Subscription,
    version: int,
    lines: Sequence[Line],
    outcomes: Iterable[Outcome],
) -> str:
    """Return why a preview cannot be executed as it is any more; empty: it can.

    Args:
        subscription: as it is now.
        version: of the subscription, that the lines were made under.
        lines: of the preview.
        outcomes: those of the lines that have an order, as they are now.
    """
    if subscription.version != version:
        return f"the subscription has version {subscription.version}, was {version}"
    if subscription.state is SubscriptionState.DELETED:
        return "the subscription is deleted"
    now = {outcome.asset_id: outcome for outcome in outcomes}
    taken = UsedLimits()
    for line in lines:
        if line.side is None:
            continue
        outcome = now[line.asset_id]
        changed = _changed(line, outcome)
        if changed:
            return f"outcome {line.asset_id}: {changed}"
        if line.side is Side.BUY:
            held = taken.on(outcome.held, line.condition_id)
            tight = _tight(subscription, line, replace(outcome, held=held))
            if tight is not None:
                return f"outcome {line.asset_id}: {tight.reason}: {tight.detail}"
            taken = taken.after(line, outcome.held)
    return ""


def _tight(subscription: Subscription, line: Line, outcome: Outcome) -> Skip | None:
    """Return the limit that a buy of the preview exceeds now."""
    if subscription.state is not SubscriptionState.ACTIVE:
        return Skip(Reason.PAUSED, f"subscription is {subscription.state.value}")
    money, held = line.money_micros, outcome.held
    room = tightest(money, rooms(subscription, 0, held))
    if room.reason is not Reason.NONE:
        return Skip(room.reason, f"{room.detail} < {to_text(money)} USDC")
    if outcome.book is None:
        return Skip(Reason.MARKET_UNKNOWN, "")
    signal = Signal(
        price_micros=line.limit_micros, notional_micros=0, book=outcome.book, held=held, now_ms=0
    )
    return filters.objection(subscription.settings, signal, filters.BY_HOLDING)


def _changed(line: Line, outcome: Outcome) -> str:
    lot, book = outcome.lot, outcome.book
    if lot.shares_micros != line.held_micros:
        return f"{to_text(lot.shares_micros)} shares are held, were {to_text(line.held_micros)}"
    if lot.unresolved or lot.selling or outcome.leaving:
        return "another order is under way"
    if outcome.leader_micros is None:
        return "what the leader holds is not known any more"
    if outcome.leader_micros != line.leader_micros:
        outcome_text, was = to_text(outcome.leader_micros), to_text(line.leader_micros or 0)
        return f"the leader holds {outcome_text} shares, held {was}"
    if book is None or book.market.closed or book.market.payout_micros is not None:
        return "the market takes no orders any more"
    market = book.market
    money = reserved_money(line.size_micros, line.limit_micros, market.fee_rate_micros)
    fits = line.limit_micros % market.tick_micros == 0 and line.size_micros >= sizing.smallest(
        market
    )
    if not fits or (line.side is Side.BUY and money != line.money_micros):
        return "tick, minimum or fee of the market have changed"
    return ""
