"""A binary on a price, bought below its worth by a model and hedged by its delta.

Model: Black and Scholes (1973) for a cash-or-nothing option as in Rubinstein and Reiner,
"Unscrambling the Binary Code" (1991), without interest: a share that pays 1 above the strike is
worth N(d2), d2 = (ln(S / K) - v2 T / 2) / (v sqrt T), and its delta is n(d2) / (S v sqrt T). Here S
is the mid of the hedge, v the volatility of the settings.

This is a hedge with model risk and no riskless arbitrage: volatility may be another, prices jump,
the delta changes between two hedges, and the binary may be decided by another price than the
hedge's. So it is closed some time before its end, where the delta runs away.

Shares are bought first; only those that are booked are hedged. Shares whose hedge fails are sold
again (:mod:`services.bots.core.legs`). The model's figures are floats; what they become (worth in
units of price, sizes) is rounded against taking risk.
"""

from __future__ import annotations

import math
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
    Wake,
    Withdraw,
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
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.domain.strategies import DeltaHedgeConfig
from tradingtools.venues.trading import Level

YEAR_MS = 31_536_000_000
_PARTS = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelValue:
    """The model's word on one share."""

    price: float
    """The mid of the hedge, in its quote currency."""
    fair: float
    delta: float
    """Base that hedges one share; its side is the settings'."""


def model(price: float, strike: float, years: float, volatility: float) -> tuple[float, float]:
    """Return worth and delta of a share that pays 1 above the strike."""
    if years <= 0:
        return (1.0 if price > strike else 0.0), 0.0
    root = volatility * math.sqrt(years)
    d2 = math.log(price / strike) / root - root / 2
    density = math.exp(-d2 * d2 / 2) / math.sqrt(2 * math.pi)
    return (1 + math.erf(d2 / math.sqrt(2))) / 2, density / (price * root)


class DeltaHedge:
    """The strategy; see the module."""

    def begin(self, config: DeltaHedgeConfig) -> TrancheState:  # noqa: ARG002
        """Return the state of one that has seen nothing."""
        return TrancheState()

    def on(
        self, config: DeltaHedgeConfig, state: TrancheState, event: StrategyEvent, view: View
    ) -> tuple[TrancheState, tuple[Intent, ...]]:
        """Return what is remembered, and the orders that should be tried."""
        if isinstance(event, PrintEvent | FundingEvent | SignalEvent):
            return state, ()
        worth = _worth(config, view)
        if _unfit(config, view) or worth is None:
            return state, pair.nothing(_unfit(config, view) or "no fresh book of the hedge")
        stop_ms = config.expires_ms - config.stop_before_s * 1000
        if view.now_ms >= stop_ms:
            state = replace(state, closing=True)
        terms = _terms(config, view, worth)
        stands = pair.look(terms, state.legs, event, view, closing=state.closing)
        state = replace(state, legs=stands.legs)
        if stands.step is not LegStep.GO_ON:
            return state, stands.intents
        if view.now_ms < state.legs.next_ms:
            return state, pair.nothing("an order has just got nothing")
        if _dear(config, view, worth):
            state = replace(state, closing=True)
        if state.closing and pair.closable(stands):
            return state, pair.closed(view, terms, stands, config.order_size, why="closes")
        if view.now_ms >= stop_ms:
            return state, pair.nothing("too near its end")
        opened = _opened(config, view, terms, stands, worth)
        wake = Wake(at_ms=stop_ms)
        return replace(state, closing=False), (opened, Withdraw(slot=SECOND), wake)

    def explain(
        self, config: DeltaHedgeConfig, state: TrancheState, view: View
    ) -> Mapping[str, str]:
        """Return the model's figures beside the book's, and how the legs stand."""
        worth = _worth(config, view)
        wrong = _unfit(config, view) or ("" if worth else "no fresh book of the hedge")
        if wrong or worth is None:
            return {"model": wrong}
        terms = _terms(config, view, worth)
        stands = pair.look(terms, state.legs, None, view, closing=state.closing)
        binary, hedge = view.instruments[config.binary_id], view.instruments[config.hedge_id]
        asks = _ladder(view, config.binary_id, asks=True)
        ask = binary.price_text(asks[0][0]) if asks else "none"
        years = (config.expires_ms - view.now_ms) / YEAR_MS
        text = (
            f"price {worth.price:.6g}, strike {hedge.price_text(config.strike)}, "
            f"{years * 365:.4g} days at {config.volatility:g} a year: worth {worth.fair:.4f}, "
            f"ask {ask}; delta {worth.delta:.4g} {hedge.base} a share (model risk: no arbitrage)"
        )
        return {
            FIRST: pair.said(view, terms.first, stands.first, stands),
            SECOND: pair.said(view, terms.second, stands.second, stands),
            "model": text,
        }


def _unfit(config: DeltaHedgeConfig, view: View) -> str:
    binary, hedge = view.instruments[config.binary_id], view.instruments[config.hedge_id]
    if binary.kind is not InstrumentKind.BINARY:
        return f"{binary.id} is no binary"
    if hedge.kind not in (InstrumentKind.SWAP, InstrumentKind.FUTURE) or hedge.inverse:
        return f"{hedge.id} is no linear swap or future"
    return ""


def _ladder(view: View, instrument_id: str, *, asks: bool) -> Sequence[Level]:
    book = view.books.get(instrument_id)
    if book is None or book.status is not BookStatus.FRESH:
        return ()
    return book.asks if asks else book.bids


def _worth(config: DeltaHedgeConfig, view: View) -> ModelValue | None:
    bids = _ladder(view, config.hedge_id, asks=False)
    asks = _ladder(view, config.hedge_id, asks=True)
    if not bids or not asks:
        return None
    unit: float = 10.0 ** view.instruments[config.hedge_id].price_digits
    price, strike = (bids[0][0] + asks[0][0]) / 2 / unit, config.strike / unit
    years = (config.expires_ms - view.now_ms) / YEAR_MS
    above, delta = model(price, strike, years, config.volatility)
    return ModelValue(price=price, fair=above if config.pays_above else 1 - above, delta=delta)


def _terms(config: DeltaHedgeConfig, view: View, worth: ModelValue) -> Terms:
    binary, hedge = view.instruments[config.binary_id], view.instruments[config.hedge_id]
    per_share = Fraction(int(worth.delta * _PARTS), _PARTS)
    ratio = per_share / 10**binary.size_digits * 10**hedge.size_digits / Fraction(hedge.contract)
    desired = max(view.holding(binary.id).size, 0) * ratio
    return Terms(
        first=LegTerms(slot=FIRST, instrument_id=binary.id, direction=1, fee=config.binary_fee),
        second=LegTerms(
            slot=SECOND,
            instrument_id=hedge.id,
            direction=-1 if config.pays_above else 1,
            fee=config.hedge_fee,
        ),
        ratio=ratio,
        worth=_worth_hedged(binary, hedge, worth, ratio),
        deadline_ms=config.hedge_deadline_ms,
        max_loss=config.max_loss,
        max_slippage=config.max_slippage,
        band=int(desired * config.rebalance_band / MILLION),
        second_follows=True,
    )


def _worth_hedged(
    binary: Instrument, hedge: Instrument, worth: ModelValue, ratio: Fraction
) -> pair.Worth:
    """Hedged shares are worth the model's word, less what the hedge costs beside the mid."""

    def found(_view: View, behind: LegTerms, size: int, price: int | None) -> int | None:
        if price is None or not ratio or behind.slot != SECOND:
            return None
        shares = int(size / ratio)
        fair = binary.notional(_fair(binary, worth, up=False), shares, up=False)
        middle = round(worth.price * 10**hedge.price_digits)
        beside = hedge.notional(abs(price - middle), size, up=True)
        costs = beside + pair.fee(hedge.notional(price, size, up=True), behind.fee)
        return fair + pair.scaled(-costs, hedge, binary)

    return found


def _fair(binary: Instrument, worth: ModelValue, *, up: bool) -> int:
    exact: float = worth.fair * 10.0**binary.price_digits
    return math.ceil(exact) if up else math.floor(exact)


def _dear(config: DeltaHedgeConfig, view: View, worth: ModelValue) -> bool:
    """Return whether the bid, fee taken off, is above the worth by the edge of the exit."""
    binary, bids = view.instruments[config.binary_id], _ladder(view, config.binary_id, asks=False)
    if not bids:
        return False
    net = bids[0][0] - pair.fee(bids[0][0], config.binary_fee)
    return net >= _fair(binary, worth, up=True) + config.exit_edge


def _opened(
    config: DeltaHedgeConfig, view: View, terms: Terms, stands: pair.PairView, worth: ModelValue
) -> Intent:
    binary = stands.first.instrument
    most = min(config.order_size, config.max_position - stands.first.held)
    most = pair.bounded(view, terms, max(most, 0), hedged=False)
    fair, size, price = _fair(binary, worth, up=False), 0, 0
    for ask, there in _ladder(view, config.binary_id, asks=True):
        if size >= most or ask + pair.fee(ask, config.binary_fee) + config.min_edge > fair:
            break
        size, price = min(size + there, most), ask
    hedged = int((stands.first.held + size) * terms.ratio) - stands.second.held
    if size and not stands.second.instrument.size_in_lots(max(hedged, 0)):
        return Withdraw(slot=FIRST, why="its delta is below the smallest order of the hedge")
    if not size:
        return Withdraw(slot=FIRST, why="no ask is cheap enough, or the position is full")
    return pair.order(view, terms.first, size, price, opening=True, why="below its worth")
