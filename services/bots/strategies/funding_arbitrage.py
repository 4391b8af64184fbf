"""Funding-rate arbitrage: long spot and short the swap of one base, for what longs pay to shorts.

Definition: He, Manela, Ross and von Wachter, "Fundamentals of Perpetual Futures" (2022): the swap's
price is kept near spot by funding alone, so that long spot against short swap earns the rate with
no exposure to the price. It opens when the rate a year, less the fees of all four orders and what
the books cost now, each spread over a horizon, reaches the entry rate; it closes when the rate a
year falls below the exit rate. Rates are those told for the next funding: they are no promise.

Spot cannot be sold short, so a rate below zero is never earned. Fees that are taken from the coin,
liquidation and ADL make the legs uneven: beyond the band they are made even, as a failed leg is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from services.bots.core.legs import LegStep
from services.bots.core.strategy import (
    Intent,
    PrintEvent,
    SignalEvent,
    StrategyEvent,
    View,
)
from services.bots.strategies import pair
from services.bots.strategies.pair import (
    FIRST,
    MILLION,
    SECOND,
    LegTerms,
    Terms,
    TrancheState,
)
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.domain.strategies import FundingArbitrageConfig

YEAR_MS = 31_536_000_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Rates in parts of a million, rounded against opening."""

    annual: int
    """Funding that longs pay in a year, at the next rate."""
    costs: int
    """Fees of all four orders, and what the books cost now, of the notional."""
    net: int
    """The annual rate less the costs, spread over the horizon."""


class FundingArbitrage:
    """The strategy; see the module."""

    def begin(self, config: FundingArbitrageConfig) -> TrancheState:  # noqa: ARG002
        """Return the state of one that has seen nothing."""
        return TrancheState()

    def on(
        self,
        config: FundingArbitrageConfig,
        state: TrancheState,
        event: StrategyEvent,
        view: View,
    ) -> tuple[TrancheState, tuple[Intent, ...]]:
        """Return what is remembered, and the orders that should be tried."""
        if isinstance(event, PrintEvent | SignalEvent):
            return state, ()
        wrong = _unfit(config, view)
        if wrong:
            return state, pair.nothing(wrong)
        terms = _terms(config, view)
        rates = _rates(config, view)
        if rates is not None and rates.annual < config.exit_rate:
            state = replace(state, closing=True)
        stands = pair.look(terms, state.legs, event, view, closing=state.closing)
        state = replace(state, legs=stands.legs)
        if stands.step is not LegStep.GO_ON:
            return state, stands.intents
        if view.now_ms < state.legs.next_ms:
            return state, pair.nothing("an order has just got nothing")
        if state.closing and pair.closable(stands):
            return state, pair.closed(
                view, terms, stands, config.order_size, why="the rate has fallen"
            )
        state = replace(state, closing=False)
        if rates is None or rates.net < config.entry_rate or rates.annual <= config.exit_rate:
            return state, pair.nothing("the rate does not pay")
        return state, _opened(config, view, terms, stands)

    def explain(
        self, config: FundingArbitrageConfig, state: TrancheState, view: View
    ) -> Mapping[str, str]:
        """Return the rate with its costs, and how the legs stand."""
        wrong = _unfit(config, view)
        if wrong:
            return {"rate": wrong}
        terms = _terms(config, view)
        stands = pair.look(terms, state.legs, None, view, closing=state.closing)
        rates = _rates(config, view)
        text = "no funding rate or no fresh books"
        if rates is not None:
            text = (
                f"{rates.annual / 10_000:g} % a year, costs of {rates.costs / 10_000:g} % within "
                f"{config.horizon_h} h: net {rates.net / 10_000:g} % a year; opens at "
                f"{config.entry_rate / 10_000:g} % net, closes below "
                f"{config.exit_rate / 10_000:g} % before costs"
            )
        return {
            FIRST: pair.said(view, terms.first, stands.first, stands),
            SECOND: pair.said(view, terms.second, stands.second, stands),
            "rate": f"{text}; closing" if state.closing else text,
        }


def base_ratio(first: Instrument, second: Instrument) -> Fraction:
    """Return the size of the second that stands for as much base as a size of 1 of the first."""
    one = Fraction(first.contract) * Fraction(10**second.size_digits)
    return one / (Fraction(second.contract) * Fraction(10**first.size_digits))


def _unfit(config: FundingArbitrageConfig, view: View) -> str:
    spot, swap = view.instruments[config.spot_id], view.instruments[config.swap_id]
    if spot.kind is not InstrumentKind.SPOT:
        return f"{spot.id} is no spot market"
    if swap.kind is not InstrumentKind.SWAP or swap.inverse:
        return f"{swap.id} is no linear swap"
    if spot.base != swap.base:
        return f"{spot.id} and {swap.id} are of different coins"
    return ""


def _terms(config: FundingArbitrageConfig, view: View) -> Terms:
    spot, swap = view.instruments[config.spot_id], view.instruments[config.swap_id]
    ratio = base_ratio(spot, swap)
    held = max(view.holding(spot.id).size, 0)
    return Terms(
        first=LegTerms(slot=FIRST, instrument_id=spot.id, direction=1, fee=config.spot_fee),
        second=LegTerms(slot=SECOND, instrument_id=swap.id, direction=-1, fee=config.swap_fee),
        ratio=ratio,
        worth=_worth(spot),
        deadline_ms=config.hedge_deadline_ms,
        max_loss=config.max_loss,
        max_slippage=config.max_slippage,
        band=int(held * ratio * config.rebalance_band / MILLION),
    )


def _worth(spot: Instrument) -> pair.Worth:
    def worth(view: View, behind: LegTerms, size: int, price: int | None) -> int | None:
        if price is None:
            return None
        instrument = view.instruments[behind.instrument_id]
        got = pair.cash(instrument, behind, size, price, opening=True)
        return pair.scaled(got, instrument, spot)

    return worth


def _rates(config: FundingArbitrageConfig, view: View) -> Rates | None:
    funding, spot_id, swap_id = view.fundings.get(config.swap_id), config.spot_id, config.swap_id
    buy = pair.limit(view, _leg(FIRST, spot_id, 1), opening=True, slippage=0)
    sell = pair.limit(view, _leg(SECOND, swap_id, -1), opening=True, slippage=0)
    if funding is None or funding.interval_ms <= 0 or not buy or not sell:
        return None
    annual = int(Fraction(funding.rate) * MILLION * YEAR_MS // funding.interval_ms)
    spot, swap = view.instruments[spot_id], view.instruments[swap_id]
    paid = Fraction(buy, 10**spot.price_digits)
    got = Fraction(sell, 10**swap.price_digits)
    basis = max(-((got - paid) * MILLION // paid), 0)
    costs = int(2 * (config.spot_fee + config.swap_fee) + basis)
    spread = -(-costs * YEAR_MS // (config.horizon_h * HOUR_MS))
    return Rates(annual=annual, costs=costs, net=annual - spread)


def _leg(slot: str, name: str, direction: int) -> LegTerms:
    return LegTerms(slot=slot, instrument_id=name, direction=direction, fee=0)


def _even(first: Instrument, second: Instrument, ratio: Fraction, size: int) -> tuple[int, int]:
    """Return the largest sizes of both legs up to a size of the first that hedge each other."""
    other = second.size_in_lots(int(size * ratio))
    mine = first.size_in_lots(min(int(-(-Fraction(other) // ratio)) + first.lot_size - 1, size))
    return (mine, other) if mine and other else (0, 0)


def _opened(
    config: FundingArbitrageConfig, view: View, terms: Terms, stands: pair.PairView
) -> tuple[Intent, ...]:
    spot, swap = stands.first.instrument, stands.second.instrument
    most = min(config.order_size, config.max_position - stands.first.held)
    most = pair.bounded(view, terms, most)
    first, second = _even(spot, swap, terms.ratio, max(most, 0))
    prices = [
        pair.limit(view, one, opening=True, slippage=terms.max_slippage)
        for one in (terms.first, terms.second)
    ]
    if not first or prices[0] is None or prices[1] is None:
        return pair.nothing("the position is full, or max_loss lets no order in")
    return (
        pair.order(view, terms.first, first, prices[0], opening=True, why="opens"),
        pair.order(view, terms.second, second, prices[1], opening=True, why="opens"),
    )
