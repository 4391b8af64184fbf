"""Two legs that are kept even: prices, losses and orders of what the table of legs asks for.

Used by every strategy with two legs. Orders are IOCs, one slot for each leg, so that each order is
filled or gone within one way to the exchange and back. Losses are judged at limit prices, which
are the worst that an order can get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from services.bots.core.legs import Balance, Leg, LegState, LegStep, balance, step
from services.bots.core.strategy import EndEvent, Intent, Quote, StrategyEvent, View, Wake, Withdraw
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import RestingTime

FIRST, SECOND = "first", "second"
RETRY_MS = 500
"""From an order that got nothing to the next one."""
MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """All that a pair remembers of its legs; what they hold is booked elsewhere."""

    lone_since_ms: int = 0
    """Since when one leg has been ahead; 0: none is."""
    next_ms: int = 0
    """When the next order may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrancheState:
    """All that a strategy of two legs remembers; what is held is booked elsewhere."""

    legs: PairState = field(default_factory=PairState)
    closing: bool = False
    """A tranche is being closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegTerms:
    """One leg as its strategy sets it."""

    slot: str
    instrument_id: str
    direction: int
    """1: it is bought to open, -1: sold."""
    fee: int
    """A taker's, in parts of a million of the notional."""


Worth = Callable[[View, LegTerms, int, int | None], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A pair as its strategy sets it."""

    first: LegTerms
    second: LegTerms
    ratio: Fraction
    """Size of the second leg for a size of 1 of the first, in units."""
    worth: Worth
    """Money that a part of one leg is worth once the other leg hedges it, the hedge's price and
    fees taken off: by view, the leg behind, the size that it lacks, the price of its order."""
    deadline_ms: int
    max_loss: int
    """In money of the first leg's settle currency."""
    max_slippage: int
    band: int = 0
    second_follows: bool = False
    """The second leg is only a hedge: the first one is never bought to match it."""


# ---------------------------------------------------------------------------------------- prices


def limit(view: View, terms: LegTerms, *, opening: bool, slippage: int) -> int | None:
    """Return the worst price of an IOC of a leg; None: it cannot be traded now."""
    instrument, book = view.instruments[terms.instrument_id], view.books.get(terms.instrument_id)
    if book is None or book.status is not BookStatus.FRESH:
        return None
    if instrument.phase is not TradingPhase.OPEN:
        return None
    buying = (terms.direction > 0) == opening
    levels = book.asks if buying else book.bids
    if not levels:
        return None
    best = levels[0][0]
    slip = best * slippage // MILLION
    if not buying:
        return max(instrument.price_on_tick(best - slip, up=True), instrument.tick_size)
    price = instrument.price_on_tick(best + slip, up=False)
    if instrument.kind is InstrumentKind.BINARY:
        price = min(price, 10**instrument.price_digits - instrument.tick_size)
    return max(price, best)


def cash(instrument: Instrument, terms: LegTerms, size: int, price: int, *, opening: bool) -> int:
    """Return the money that a trade of a leg brings, fees off; below zero: it costs."""
    if (terms.direction > 0) == opening:
        worth = instrument.notional(price, size, up=True)
        return -worth - fee(worth, terms.fee)
    worth = instrument.notional(price, size, up=False)
    return worth - fee(worth, terms.fee)


def fee(worth: int, rate: int) -> int:
    """Return a fee, rounded up."""
    return -(-worth * rate // MILLION)


def scaled(amount: int, source: Instrument, target: Instrument) -> int:
    """Return money of one instrument in units of another's, rounded down.

    Dollars of both count as equal: USDC for USDT.
    """
    above: int = 10**target.money_digits
    below: int = 10**source.money_digits
    return amount * above // below


def leg(view: View, terms: LegTerms) -> Leg:
    """Return a leg as it is booked, with whether an order of it is on its way."""
    held = view.holding(terms.instrument_id).size * terms.direction
    flying = any(one.instrument_id == terms.instrument_id for one in view.standing.values())
    return Leg(instrument=view.instruments[terms.instrument_id], held=held, flying=flying)


def order(
    view: View, terms: LegTerms, size: int, price: int, *, opening: bool, why: str
) -> Quote | Withdraw:
    """Return the IOC of a leg, in whole lots."""
    instrument = view.instruments[terms.instrument_id]
    lots = instrument.size_in_lots(size)
    if not lots:
        return Withdraw(slot=terms.slot, why=f"{instrument.size_text(size)} is below an order")
    side: Side = "BUY" if (terms.direction > 0) == opening else "SELL"
    contract = instrument.kind in (InstrumentKind.FUTURE, InstrumentKind.SWAP)
    return Quote(
        slot=terms.slot,
        instrument_id=instrument.id,
        side=side,
        price=price,
        size=lots,
        time_in_force=RestingTime.IOC,
        reduce_only=contract and not opening,
        why=why,
    )


# ----------------------------------------------------------------------------------------- legs


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """A pair at one instant: the state of its legs, and what they ask for."""

    legs: PairState
    first: Leg
    second: Leg
    both: Balance
    step: LegStep
    hedge_loss: int | None
    intents: tuple[Intent, ...]
    """Orders of the step; empty with GO_ON."""


def look(
    terms: Terms, state: PairState, event: StrategyEvent | None, view: View, *, closing: bool
) -> PairView:
    """Return how a pair stands, with the orders that make it even again."""
    ended = isinstance(event, EndEvent) and event.slot in (FIRST, SECOND)
    if isinstance(event, EndEvent) and ended and not event.filled:
        state = replace(state, next_ms=view.now_ms + RETRY_MS)
    first, second = leg(view, terms.first), leg(view, terms.second)
    both = balance(first, second, terms.ratio, band=terms.band)
    flying = LegState.FLYING in (both.first, both.second)
    if LegState.AHEAD in (both.first, both.second):
        state = replace(state, lone_since_ms=state.lone_since_ms or view.now_ms)
    elif not flying:
        state = replace(state, lone_since_ms=0)
    if LegState.BELOW in (both.first, both.second):
        return _brought_back(terms, state, view, first, second, both)
    if not both.ahead:
        found = LegStep.WAIT if flying else LegStep.GO_ON
        withdrawn = _withdrawn(terms, first, second) if flying else ()
        return PairView(
            legs=state, first=first, second=second, both=both, step=found, hedge_loss=None,
            intents=withdrawn,
        )  # fmt: skip
    return _repaired(terms, state, view, first, second, both, closing=closing)


def _withdrawn(terms: Terms, first: Leg, second: Leg) -> tuple[Intent, ...]:
    """Take back what has not left yet; what is on its way is neither repeated nor called back."""
    both = ((terms.first, first), (terms.second, second))
    return tuple(
        Withdraw(slot=one.slot, why="the other leg is on its way")
        for one, held in both
        if not held.flying
    )


def _brought_back(
    terms: Terms, state: PairState, view: View, first: Leg, second: Leg, both: Balance
) -> PairView:
    """Bring a leg that is below zero back to it; the other one waits."""
    below = terms.first if both.first is LegState.BELOW else terms.second
    price = limit(view, below, opening=True, slippage=terms.max_slippage)
    intents: tuple[Intent, ...]
    if view.now_ms < state.next_ms:
        intents = (*nothing("an order has just got nothing"), Wake(at_ms=state.next_ms))
    elif price is None:
        intents = nothing("no fresh price to buy back at")
    else:
        other = SECOND if below.slot == FIRST else FIRST
        why = "brings back what was closed and is not there"
        intents = (
            Withdraw(slot=other, why="the other leg is below zero"),
            order(view, below, both.ahead, price, opening=True, why=why),
        )
    return PairView(
        legs=state, first=first, second=second, both=both, step=LegStep.FLATTEN, hedge_loss=None,
        intents=intents,
    )  # fmt: skip


def _repaired(
    terms: Terms,
    state: PairState,
    view: View,
    first: Leg,
    second: Leg,
    both: Balance,
    *,
    closing: bool,
) -> PairView:
    second_ahead = both.second is LegState.AHEAD
    ahead, behind = (terms.second, terms.first) if second_ahead else (terms.first, terms.second)
    price, loss = _hedge(terms, view, ahead, behind, both)
    found = step(
        both,
        reducing=closing or (second_ahead and terms.second_follows),
        late=view.now_ms >= state.lone_since_ms + terms.deadline_ms,
        hedge_loss=loss,
        max_loss=terms.max_loss,
    )
    exit_price = limit(view, ahead, opening=False, slippage=terms.max_slippage)
    if found is LegStep.LEAST_LOSS:
        flat = _flat_loss(view, terms, ahead, both.ahead, exit_price)
        hedges = loss is not None and (flat is None or loss <= flat)
        found = LegStep.HEDGE if hedges else LegStep.FLATTEN
    wakes = [state.lone_since_ms + terms.deadline_ms, state.next_ms]
    intents: tuple[Intent, ...] = tuple(Wake(at_ms=at) for at in wakes if at > view.now_ms)
    if view.now_ms < state.next_ms:
        orders = nothing("an order has just got nothing")
    elif found is LegStep.HEDGE and price is not None:
        why = f"hedges the leg ahead, a loss of at most {loss} units of money"
        orders = (
            Withdraw(slot=ahead.slot, why="it is ahead"),
            order(view, behind, both.behind, price, opening=True, why=why),
        )
    elif exit_price is not None:
        why = "flattens what the other leg does not hedge"
        orders = (
            Withdraw(slot=behind.slot, why="the leg ahead is flattened"),
            order(view, ahead, both.ahead, exit_price, opening=False, why=why),
        )
    else:
        orders = nothing("no fresh price to flatten at")
    return PairView(
        legs=state, first=first, second=second, both=both, step=found, hedge_loss=loss,
        intents=(*orders, *intents),
    )  # fmt: skip


def _paid(view: View, ahead: LegTerms, size: int) -> int:
    """Return the cash of opening a part of what is held, fee included, rounded against it."""
    held = view.holding(ahead.instrument_id)
    exact = held.cost * size
    part = -exact // abs(held.size) if ahead.direction > 0 else exact // abs(held.size)
    return part - fee(abs(part), ahead.fee)


def _hedge(
    terms: Terms, view: View, ahead: LegTerms, behind: LegTerms, both: Balance
) -> tuple[int | None, int | None]:
    """Return the limit of the hedge and its loss; slippage is given up before the bound is."""
    found: tuple[int | None, int | None] = (None, None)
    for slippage in (terms.max_slippage, 0):
        price = limit(view, behind, opening=True, slippage=slippage)
        size = view.instruments[behind.instrument_id].size_in_lots(both.behind)
        worth = terms.worth(view, behind, both.behind, price) if price and size else None
        if worth is None:
            return None, None
        loss = -(_own(view, terms, ahead, both.ahead) + worth)
        if found[1] is None or loss <= terms.max_loss < found[1]:
            found = price, loss
    return found


def _own(view: View, terms: Terms, ahead: LegTerms, size: int) -> int:
    source, target = (
        view.instruments[ahead.instrument_id],
        view.instruments[terms.first.instrument_id],
    )
    return scaled(_paid(view, ahead, size), source, target)


def _flat_loss(
    view: View, terms: Terms, ahead: LegTerms, size: int, price: int | None
) -> int | None:
    instrument = view.instruments[ahead.instrument_id]
    if price is None or not instrument.size_in_lots(size):
        return None
    got = cash(instrument, ahead, size, price, opening=False)
    target = view.instruments[terms.first.instrument_id]
    return -(_own(view, terms, ahead, size) + scaled(got, instrument, target))


def nothing(why: str) -> tuple[Intent, ...]:
    """Return that no order should stand."""
    return Withdraw(slot=FIRST, why=why), Withdraw(slot=SECOND, why=why)


def bounded(view: View, terms: Terms, most: int, *, hedged: bool = True) -> int:
    """Return the size of the first leg of which one leg alone stays within the bound.

    Args:
        view: as of now.
        terms: of the pair.
        most: the size that is wanted.
        hedged: the second leg opens with the first one, so that it may be the one alone.
    """
    legs = [(terms.first, Fraction(1)), *([(terms.second, terms.ratio)] if hedged else [])]
    for one, ratio in legs:
        instrument, size = view.instruments[one.instrument_id], int(most * ratio)
        there = limit(view, one, opening=True, slippage=terms.max_slippage)
        back = limit(view, one, opening=False, slippage=terms.max_slippage)
        if size <= 0 or there is None:
            return 0
        loss = -cash(instrument, one, size, there, opening=True)
        if back is not None:
            loss -= cash(instrument, one, size, back, opening=False)
        elif one.direction < 0:
            return 0
        loss = -scaled(-loss, instrument, view.instruments[terms.first.instrument_id])
        if loss > terms.max_loss:
            most = most * terms.max_loss // loss
    return most


def closable(stands: PairView) -> bool:
    """Return whether any leg holds enough for an order."""
    legs = (stands.first, stands.second)
    return any(one.instrument.size_in_lots(max(one.held, 0)) for one in legs)


def closed(
    view: View, terms: Terms, stands: PairView, tranche: int, *, why: str
) -> tuple[Intent, ...]:
    """Return orders that close a tranche of both legs, its size in the first one's units."""
    first = min(stands.first.held, tranche)
    second = min(stands.second.held, -int(-tranche * terms.ratio // 1))
    found: list[Intent] = []
    for one, size in ((terms.first, first), (terms.second, second)):
        price = limit(view, one, opening=False, slippage=terms.max_slippage)
        if price is None:
            return nothing("no fresh price to close at")
        found.append(order(view, one, max(size, 0), price, opening=False, why=why))
    return tuple(found)


def said(view: View, terms: LegTerms, held: Leg, stands: PairView) -> str:
    """Return in a sentence what a leg holds, and what is done about it."""
    text = f"holds {held.instrument.size_text(held.held)}"
    state = stands.both.second if terms.slot == SECOND else stands.both.first
    if state is LegState.FLYING:
        return f"{text}, and an order of it may still fill: nothing else is sent"
    if state is LegState.EVEN:
        return f"{text}, even with the other leg"
    if state is LegState.BELOW:
        return f"{text}: more was closed than is there; it is brought back to nothing"
    if state is LegState.BEHIND:
        return f"{text}, {held.instrument.size_text(stands.both.behind)} less than it should"
    lone = held.instrument.size_text(stands.both.ahead)
    since = (view.now_ms - stands.legs.lone_since_ms) / 1000
    loss = stands.hedge_loss
    cost = "has no price" if loss is None else f"loses {held.instrument.money_text(loss)}"
    return f"{text}, of which {lone} not hedged for {since:g} s; a hedge {cost}: {stands.step}"
