"""Arbitrage of complete sets: both outcomes of a binary for less than the 1 that they pay together.

Definition: Saguillo, Ghafouri, Kiffer and Suarez-Tangil, "Unravelling the Probabilistic Forest:
Arbitrage in Prediction Markets" (2025), single-condition arbitrage. The asks of both outcomes are
walked level by level while a set still costs less than 1 by the least gain, fees taken off; both
legs leave at once, as IOCs at the last level that still pays. Sets that are held are sold where the
bids bring more than 1 by as much.

One leg that fails leaves the other alone: the table of legs (:mod:`services.bots.core.legs`) says
whether it is hedged or flattened. A tranche is no larger than what loses ``max_loss`` when one leg
is bought and sold again at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from services.bots.core.legs import LegStep
from services.bots.core.strategy import (
    FundingEvent,
    Intent,
    PrintEvent,
    SignalEvent,
    StrategyEvent,
    View,
    Withdraw,
)
from services.bots.strategies import pair
from services.bots.strategies.pair import FIRST, SECOND, LegTerms, Terms, TrancheState
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument
from tradingtools.domain.strategies import ArbitrageConfig
from tradingtools.venues.trading import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Tranche:
    """Sets that can be traded with a gain, and the worst price of each leg."""

    size: int
    first: int
    second: int


class Arbitrage:
    """The strategy; see the module."""

    def begin(self, config: ArbitrageConfig) -> TrancheState:  # noqa: ARG002
        """Return the state of one that has seen nothing."""
        return TrancheState()

    def on(
        self, config: ArbitrageConfig, state: TrancheState, event: StrategyEvent, view: View
    ) -> tuple[TrancheState, tuple[Intent, ...]]:
        """Return what is remembered, and the orders that should be tried."""
        if isinstance(event, PrintEvent | FundingEvent | SignalEvent):
            return state, ()
        terms = _terms(config)
        stands = pair.look(terms, state.legs, event, view, closing=state.closing)
        state = replace(state, legs=stands.legs)
        if stands.step is not LegStep.GO_ON:
            return state, stands.intents
        if view.now_ms < state.legs.next_ms:
            return state, pair.nothing("an order has just got nothing")
        buying, selling = _tranches(config, view, stands)
        if selling.size:
            return replace(state, closing=True), _orders(view, terms, selling, opening=False)
        state = replace(state, closing=False)
        if buying.size:
            return state, _orders(view, terms, buying, opening=True)
        return state, tuple(
            Withdraw(slot=one, why="no set has the gain") for one in (FIRST, SECOND)
        )

    def explain(
        self, config: ArbitrageConfig, state: TrancheState, view: View
    ) -> Mapping[str, str]:
        """Return what a set costs and brings, and how the legs stand."""
        stands = pair.look(_terms(config), state.legs, None, view, closing=state.closing)
        said = {
            one.slot: pair.said(view, one, held, stands)
            for one, held in zip(_legs(config), (stands.first, stands.second), strict=True)
        }
        return said | {"sets": _why(config, view, stands)}


def _legs(config: ArbitrageConfig) -> tuple[LegTerms, LegTerms]:
    first, second = (
        LegTerms(slot=slot, instrument_id=name, direction=1, fee=config.taker_fee)
        for slot, name in ((FIRST, config.instrument_id), (SECOND, config.complement_id))
    )
    return first, second


def _terms(config: ArbitrageConfig) -> Terms:
    first, second = _legs(config)
    return Terms(
        first=first,
        second=second,
        ratio=Fraction(1),
        worth=_worth,
        deadline_ms=config.hedge_deadline_ms,
        max_loss=config.max_loss,
        max_slippage=config.max_slippage,
    )


def _worth(view: View, behind: LegTerms, size: int, price: int | None) -> int | None:
    """Return the payoff of sets, less the cost of the leg that they lack."""
    instrument = view.instruments[behind.instrument_id]
    if price is None:
        return None
    payoff = instrument.notional(10**instrument.price_digits, size, up=False)
    return payoff + pair.cash(instrument, behind, size, price, opening=True)


def _levels(view: View, instrument_id: str, *, asks: bool) -> Sequence[Level]:
    book = view.books.get(instrument_id)
    if book is None or book.status is not BookStatus.FRESH:
        return ()
    return book.asks if asks else book.bids


def _gain(config: ArbitrageConfig, instrument: Instrument, both: int, *, buying: bool) -> int:
    """Return the gain of one set after fees, in units of price, rounded down."""
    one: int = 10**instrument.price_digits
    fees = pair.fee(both, config.taker_fee)
    return one - both - fees if buying else both - fees - one


def walked(
    config: ArbitrageConfig,
    instrument: Instrument,
    first: Sequence[Level],
    second: Sequence[Level],
    *,
    most: int,
    buying: bool,
) -> Tranche:
    """Return the sets that both ladders give with at least the least gain each, best first."""
    found = Tranche(size=0, first=0, second=0)
    places, left = [0, 0], [first[0][1] if first else 0, second[0][1] if second else 0]
    while found.size < most and places[0] < len(first) and places[1] < len(second):
        price, other = first[places[0]][0], second[places[1]][0]
        if _gain(config, instrument, price + other, buying=buying) < config.min_edge:
            break
        size = min(*left, most - found.size)
        found = Tranche(size=found.size + size, first=price, second=other)
        for n, ladder in enumerate((first, second)):
            left[n] -= size
            if not left[n]:
                places[n] += 1
                left[n] = ladder[places[n]][1] if places[n] < len(ladder) else 0
    return found


def _tranches(
    config: ArbitrageConfig, view: View, stands: pair.PairView
) -> tuple[Tranche, Tranche]:
    """Return the sets to buy, and those to sell, in whole lots of both legs."""
    first, second = _legs(config)
    one, other = view.instruments[first.instrument_id], view.instruments[second.instrument_id]
    held = max(stands.first.held, stands.second.held)
    buying = walked(
        config,
        one,
        _levels(view, one.id, asks=True),
        _levels(view, other.id, asks=True),
        most=min(config.order_size, config.max_sets - held),
        buying=True,
    )
    buying = replace(buying, size=_bounded(config, view, buying))
    sets = min(stands.first.held, stands.second.held)
    selling = walked(
        config,
        one,
        _levels(view, one.id, asks=False),
        _levels(view, other.id, asks=False),
        most=min(config.order_size, sets) if config.sell_sets else 0,
        buying=False,
    )
    return _in_lots(buying, one, other), _in_lots(selling, one, other)


def _in_lots(tranche: Tranche, one: Instrument, other: Instrument) -> Tranche:
    size = max(tranche.size, 0)
    size = min(one.size_in_lots(size), other.size_in_lots(size))
    return replace(tranche, size=size)


def _bounded(config: ArbitrageConfig, view: View, tranche: Tranche) -> int:
    """Return the size of which one leg, bought and sold at once, loses no more than the bound."""
    size = tranche.size
    for terms, price in zip(_legs(config), (tranche.first, tranche.second), strict=True):
        if size <= 0:
            return 0
        instrument = view.instruments[terms.instrument_id]
        back = pair.limit(view, terms, opening=False, slippage=config.max_slippage)
        loss = -pair.cash(instrument, terms, size, price, opening=True)
        loss -= pair.cash(instrument, terms, size, back, opening=False) if back else 0
        if loss > config.max_loss:
            size = size * config.max_loss // loss
    return size


def _orders(view: View, terms: Terms, tranche: Tranche, *, opening: bool) -> tuple[Intent, ...]:
    done = "bought" if opening else "sold"
    return tuple(
        pair.order(view, one, tranche.size, price, opening=opening, why=f"a set is {done}")
        for one, price in ((terms.first, tranche.first), (terms.second, tranche.second))
    )


def _why(config: ArbitrageConfig, view: View, stands: pair.PairView) -> str:
    one = view.instruments[config.instrument_id]
    text = one.price_text
    said = []
    for asks, verb in ((True, "costs"), (False, "brings")):
        ladders = [
            _levels(view, name, asks=asks) for name in (config.instrument_id, config.complement_id)
        ]
        if not all(ladders):
            said.append(f"no fresh {'asks' if asks else 'bids'} of both outcomes")
            continue
        both = ladders[0][0][0] + ladders[1][0][0]
        gain = _gain(config, one, both, buying=asks)
        fees = text(pair.fee(both, config.taker_fee))
        said.append(f"a set {verb} {text(both)} and fees of {fees}: a gain of {text(gain)}")
    least = f"at least {text(config.min_edge)} is wanted"
    held = min(stands.first.held, stands.second.held)
    sets = f"{one.size_text(held)} of {one.size_text(config.max_sets)} sets are held"
    return "; ".join((*said, least, sets))
