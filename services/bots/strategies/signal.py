"""A position by outside signals: up, down or neither, each with a confidence.

A signal that is sure enough and young enough sets the target position; an opposite or neutral one,
or a timeout, ends it. Its confidence may fade with its age, by half in each half-life. The timeout
is the vertical barrier of Lopez de Prado, "Advances in Financial Machine Learning" (2018), chapter
3.

Orders are IOCs at the best price within a bound of slippage, tried again until what is held is the
target. A position grows only while its signal is young; it shrinks at any time. Each signal is
heard once: its id is kept for as long as its age would let it in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.bots.core.strategy import (
    EndEvent,
    FundingEvent,
    Intent,
    PrintEvent,
    Quote,
    SignalEvent,
    StrategyEvent,
    View,
    Wake,
    Withdraw,
)
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.domain.strategies import SignalConfig
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import RestingTime

SLOT = "position"
RETRY_MS = 1_000
"""From the end of one order to the next."""
MAX_RECEIVED = 1_000
"""Signals within the age limit; more are not heard, since a repeated one could not be told."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalState:
    """All that is remembered of signals."""

    direction: int = 0
    """Of the target: 1 long, -1 short, 0 flat."""
    grow_until_ms: int = 0
    """When the signal is too old to add to the position."""
    hold_until_ms: int = 0
    """When the position is closed."""
    next_ms: int = 0
    """When the next order may be sent."""
    received: tuple[tuple[str, int], ...] = ()
    """Ids of signals with the instants at which they were made."""
    last: str = "no signal was heard"
    """What became of the last signal, for a person."""


class Signal:
    """The strategy; see the module."""

    def begin(self, config: SignalConfig) -> SignalState:  # noqa: ARG002
        """Return the state of one that has heard nothing."""
        return SignalState()

    def on(
        self, config: SignalConfig, state: SignalState, event: StrategyEvent, view: View
    ) -> tuple[SignalState, tuple[Intent, ...]]:
        """Return what is remembered, and the order that brings the position to its target."""
        if isinstance(event, PrintEvent | FundingEvent):
            return state, ()
        if isinstance(event, SignalEvent):
            if event.instrument_id != config.instrument_id:
                return state, ()
            state = _received(config, state, event, view)
        if isinstance(event, EndEvent) and event.slot == SLOT:
            state = replace(state, next_ms=view.now_ms + RETRY_MS)
        if state.direction and view.now_ms >= state.hold_until_ms:
            state = replace(state, direction=0, last=f"{state.last}; its time is over")
        return state, _intents(config, state, view)

    def explain(self, config: SignalConfig, state: SignalState, view: View) -> Mapping[str, str]:
        """Return the target, what is held, and what became of the last signal."""
        instrument = view.instruments[config.instrument_id]
        target, held = _target(config, state, instrument), view.holding(instrument.id).size
        said = f"target {instrument.size_text(target)}, held {instrument.size_text(held)}"
        if state.direction:
            left = max(state.hold_until_ms - view.now_ms, 0) / 1000
            said += f", for {left:g} s more"
        return {SLOT: f"{said}; {state.last}"}


def _shortable(instrument: Instrument) -> bool:
    return instrument.kind in (InstrumentKind.FUTURE, InstrumentKind.SWAP)


def _target(config: SignalConfig, state: SignalState, instrument: Instrument) -> int:
    if state.direction < 0 and not _shortable(instrument):
        return 0
    return state.direction * config.position


def _received(
    config: SignalConfig, state: SignalState, event: SignalEvent, view: View
) -> SignalState:
    now, name = view.now_ms, f"signal {event.signal_id}"
    young = tuple(one for one in state.received if now - one[1] <= config.max_age_ms)
    state = replace(state, received=young)
    age = now - event.made_ms
    if any(one == event.signal_id for one, _ in young):
        return replace(state, last=f"{name} was heard before")
    if abs(age) > config.max_age_ms:
        # One from the future has a wrong clock: its age is not known.
        return replace(state, last=f"{name} is {age} ms old, and {config.max_age_ms} is the limit")
    if len(young) >= MAX_RECEIVED:
        return replace(state, last=f"{name} is one more than {MAX_RECEIVED} within the age limit")
    state = replace(state, received=(*young, (event.signal_id, event.made_ms)))
    if event.expires_ms is not None and now >= event.expires_ms:
        return replace(state, last=f"{name} has expired")
    sure_ms = _sure_ms(config, event)
    if sure_ms is None or (sure_ms and age > sure_ms):
        least, faded = config.min_confidence / _MILLION, "" if sure_ms is None else " by its age"
        why = f"{name} has confidence {event.confidence}, below {least:g}{faded}"
        return replace(state, last=why)
    turns = event.direction * state.direction < 0
    direction = 0 if turns and not config.reverse else event.direction
    return replace(
        state,
        direction=direction,
        grow_until_ms=min(
            event.made_ms + min(config.max_age_ms, sure_ms or config.max_age_ms),
            event.expires_ms or event.made_ms + config.max_age_ms,
        ),
        hold_until_ms=now + config.hold_s * 1000,
        last=f"{name} says {event.direction:+d} with confidence {event.confidence}",
    )


def _sure_ms(config: SignalConfig, event: SignalEvent) -> int | None:
    """Return the age up to which a signal is sure enough; 0: for ever, None: never."""
    if event.confidence * _MILLION < config.min_confidence:
        return None
    if not config.half_life_s or not config.min_confidence:
        return 0
    halves = math.log2(float(event.confidence) * _MILLION / config.min_confidence)
    return max(int(halves * config.half_life_s * 1000), 1)


def _intents(config: SignalConfig, state: SignalState, view: View) -> tuple[Intent, ...]:
    wakes = tuple(
        Wake(at_ms=one)
        for one, desired in ((state.hold_until_ms, state.direction), (state.next_ms, True))
        if desired and one > view.now_ms
    )
    if SLOT in view.standing:
        # An IOC that is on its way: it is neither repeated nor called back.
        return wakes
    if view.now_ms < state.next_ms:
        return (Withdraw(slot=SLOT, why="an order has just ended"), *wakes)
    return (_order(config, state, view), *wakes)


def _desired(config: SignalConfig, state: SignalState, view: View) -> int:
    """Return the size to buy, or below zero to sell."""
    instrument = view.instruments[config.instrument_id]
    held, target = view.holding(instrument.id).size, _target(config, state, instrument)
    if view.now_ms < state.grow_until_ms:
        return target - held
    # Too late to add: what is held beyond the target, or against it, goes.
    kept = min(held, target) if target > 0 else max(held, target)
    kept = kept if kept * target > 0 else 0
    return kept - held


def _order(config: SignalConfig, state: SignalState, view: View) -> Quote | Withdraw:
    instrument, book = view.instruments[config.instrument_id], view.books.get(config.instrument_id)
    desired = _desired(config, state, view)
    side: Side = "BUY" if desired > 0 else "SELL"
    size = instrument.size_in_lots(abs(desired))
    if not size:
        return Withdraw(slot=SLOT, why="the target is held")
    if instrument.phase is not TradingPhase.OPEN:
        return Withdraw(slot=SLOT, why=instrument.phase.value)
    levels = (book.asks if side == "BUY" else book.bids) if book else ()
    if book is None or book.status is not BookStatus.FRESH or not levels:
        return Withdraw(slot=SLOT, why="no fresh price")
    held = view.holding(instrument.id).size
    return Quote(
        slot=SLOT,
        instrument_id=instrument.id,
        side=side,
        price=_limit(config, instrument, side, levels[0][0]),
        size=size,
        time_in_force=RestingTime.IOC,
        reduce_only=_shortable(instrument) and held * desired < 0 and size <= abs(held),
        why=state.last,
    )


def _limit(config: SignalConfig, instrument: Instrument, side: Side, best: int) -> int:
    """Return the worst price of an order; slippage is rounded against it, onto a tick."""
    slippage = best * config.max_slippage // _MILLION
    if side == "BUY":
        price = instrument.price_on_tick(best + slippage, up=False)
        if instrument.kind is InstrumentKind.BINARY:
            price = min(price, 10**instrument.price_digits - instrument.tick_size)
        return price
    return max(instrument.price_on_tick(best - slippage, up=True), instrument.tick_size)
