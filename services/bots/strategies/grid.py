"""Grid trading: resting buys below and sells above, one step of price apart.

Definition: the bi-directional grid of Taranto and Khan, "Gambler's ruin problem and bi-directional
grid constrained trading and investment strategies" (2020), with arithmetic levels between bounds.

Two neighbouring levels enclose a cell. A cell buys the order size at its lower level and sells it
at its upper one, so after a fill the opposite order stands one level away. Cells fill from the top
down as the price falls, so the position alone says what each cell holds: orders follow from it, and
fills that are partial, late or undone need no memory.

The grid begins at the level next to the mid, which stays empty. Where an instrument cannot be sold
short, what the cells above sell is bought first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from services.bots.core.strategy import (
    BookEvent,
    FundingEvent,
    Intent,
    PrintEvent,
    Quote,
    SignalEvent,
    StrategyEvent,
    View,
    Withdraw,
)
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.domain.strategies import GridConfig
from tradingtools.venues.trading import RestingTime

OPENING = "opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """All that a grid remembers."""

    start: int | None = None
    """The level that was next to the mid when the grid began; None: it has not begun."""
    opened: bool = False
    """What the cells above sell is there."""
    held: int = 0
    tick: int = 0
    phase: str = ""
    """Position, tick and phase for which the orders stand."""


class Grid:
    """The strategy; see the module."""

    def begin(self, config: GridConfig) -> GridState:  # noqa: ARG002
        """Return the state of one that has seen nothing."""
        return GridState()

    def on(
        self, config: GridConfig, state: GridState, event: StrategyEvent, view: View
    ) -> tuple[GridState, tuple[Intent, ...]]:
        """Return what is remembered, and the orders that should stand."""
        if isinstance(event, PrintEvent | FundingEvent | SignalEvent):
            return state, ()
        if isinstance(event, BookEvent) and event.instrument_id != config.instrument_id:
            return state, ()
        instrument = view.instruments[config.instrument_id]
        state = _started(config, state, view)
        if state.start is None:
            return state, ()
        if not state.opened:
            missing = _missing(config, state, view)
            if missing:
                return state, _opening(config, missing, view)
            state = replace(state, opened=True)
        seen = replace(
            state,
            held=view.holding(config.instrument_id).size,
            tick=instrument.tick_size,
            phase=instrument.phase.value,
        )
        if isinstance(event, BookEvent) and seen == state:
            # Orders do not follow the book, so most of its changes cost nothing.
            return state, ()
        return seen, (Withdraw(slot=OPENING), *_orders(config, seen, view))

    def explain(self, config: GridConfig, state: GridState, view: View) -> Mapping[str, str]:
        """Return why each level has its order, or none."""
        instrument = view.instruments[config.instrument_id]
        if state.start is None:
            bounds = f"{instrument.price_text(config.lower)} and "
            bounds += instrument.price_text(config.upper)
            return {OPENING: f"waits for a fresh book with its mid between {bounds}"}
        if not state.opened:
            missing = instrument.size_text(_missing(config, state, view))
            return {OPENING: f"buys {missing} more, which the levels above will sell"}
        held = instrument.size_text(view.holding(config.instrument_id).size)
        return {one.slot: f"{one.why}; position {held}" for one in _orders(config, state, view)}


def levels(config: GridConfig, instrument: Instrument) -> tuple[int, ...]:
    """Return the prices of the levels, on ticks, none outside the bounds."""
    span = config.upper - config.lower
    exact = (config.lower + span * n // config.cells for n in range(config.cells + 1))
    return tuple(instrument.price_on_tick(one, up=not n) for n, one in enumerate(exact))


def _slot(level: int) -> str:
    return f"level:{level}"


def _shortable(instrument: Instrument) -> bool:
    return instrument.kind in (InstrumentKind.FUTURE, InstrumentKind.SWAP)


def _started(config: GridConfig, state: GridState, view: View) -> GridState:
    book = view.books.get(config.instrument_id)
    if state.start is not None or book is None or book.status is not BookStatus.FRESH:
        return state
    if not book.bids or not book.asks:
        return state
    twice = book.bids[0][0] + book.asks[0][0]
    if not 2 * config.lower <= twice <= 2 * config.upper:
        return state
    prices = levels(config, view.instruments[config.instrument_id])
    start = min(range(len(prices)), key=lambda one: abs(2 * prices[one] - twice))
    return replace(state, start=start)


def _inventory(config: GridConfig, state: GridState) -> int:
    """Size that the cells above the start sell."""
    return config.order_size * (config.cells - (state.start or 0))


def _missing(config: GridConfig, state: GridState, view: View) -> int:
    instrument = view.instruments[config.instrument_id]
    if _shortable(instrument):
        return 0
    held = view.holding(config.instrument_id).size
    return instrument.size_in_lots(max(_inventory(config, state) - held, 0))


def _opening(config: GridConfig, size: int, view: View) -> tuple[Intent, ...]:
    instrument, book = view.instruments[config.instrument_id], view.books.get(config.instrument_id)
    if OPENING in view.standing:
        return ()
    tradable = instrument.phase is TradingPhase.OPEN
    if not tradable or book is None or book.status is not BookStatus.FRESH or not book.asks:
        return (Withdraw(slot=OPENING, why="no fresh book to buy the first inventory from"),)
    ask = book.asks[0][0]
    price = instrument.price_on_tick(min(ask + config.opening_slippage, config.upper), up=False)
    if price < ask:
        return (Withdraw(slot=OPENING, why="the ask is above the grid"),)
    return (
        Quote(
            slot=OPENING,
            instrument_id=instrument.id,
            side="BUY",
            price=price,
            size=size,
            time_in_force=RestingTime.IOC,
            why="what the levels above sell",
        ),
    )


def _orders(config: GridConfig, state: GridState, view: View) -> tuple[Quote | Withdraw, ...]:
    instrument = view.instruments[config.instrument_id]
    prices = levels(config, instrument)
    numbers = range(len(prices))
    if instrument.phase not in (TradingPhase.OPEN, TradingPhase.POST_ONLY):
        return tuple(Withdraw(slot=_slot(one), why=instrument.phase.value) for one in numbers)
    if any(low >= high for low, high in pairwise(prices)):
        return tuple(Withdraw(slot=_slot(one), why="levels are within a tick") for one in numbers)
    whole = config.order_size
    total = view.holding(config.instrument_id).size
    total += _inventory(config, state) if _shortable(instrument) else 0
    above = (whole * (config.cells - 1 - cell) for cell in range(config.cells))
    cells = [min(max(total - one, 0), whole) for one in above]
    return tuple(_order(config, instrument, cells, prices[one], one, view) for one in numbers)


def _order(
    config: GridConfig,
    instrument: Instrument,
    cells: list[int],
    price: int,
    level: int,
    view: View,
) -> Quote | Withdraw:
    # A cell holds something only when the one above it is full: a level never has both sides.
    buying = config.order_size - cells[level] if level < config.cells else 0
    selling = cells[level - 1] if level else 0
    size = buying or selling
    size -= size % instrument.lot_size
    slot = _slot(level)
    if not size:
        return Withdraw(slot=slot, why="the level that was filled last stays empty")
    if size < instrument.minimum_size and slot not in view.standing:
        why = f"{instrument.size_text(size)} is below the venue's minimum"
        return Withdraw(slot=slot, why=why)
    if instrument.kind is InstrumentKind.BINARY and price >= 10**instrument.price_digits:
        return Withdraw(slot=slot, why="an outcome is never worth more than 1")
    done = "buys" if buying else "sells"
    return Quote(
        slot=slot,
        instrument_id=instrument.id,
        side="BUY" if buying else "SELL",
        price=price,
        size=size,
        post_only=config.post_only or instrument.phase is TradingPhase.POST_ONLY,
        why=f"level {level} of {config.cells} {done} {instrument.size_text(size)}"
        f" at {instrument.price_text(price)}",
    )
