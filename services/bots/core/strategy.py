"""The port of strategies: what one sees, what it wants, and how it says why.

A strategy is a pure function of its settings, its state, an event and a view; the same one runs in
a backtest, on paper and live. It names the orders that should stand, each in a slot of its own, and
the engine makes it so: placing, amending, cancelling and never doubling is not a strategy's work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeVar

import msgspec

from services.bots.core.holding import Holding
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill, Funding, Print, RestingTime, TradingBook

# -------------------------------------------------------------------- what happens


class BookEvent(msgspec.Struct, frozen=True, gc=False):
    """A book has changed; the view has it."""

    instrument_id: str


class PrintEvent(msgspec.Struct, frozen=True, gc=False):
    """Strangers have traded."""

    trade: Print


class FundingEvent(msgspec.Struct, frozen=True, gc=False):
    """The next funding rate has changed."""

    funding: Funding


class FillEvent(msgspec.Struct, frozen=True, gc=False):
    """An order of this bot was filled, or a fill of it was undone."""

    fill: Fill
    slot: str


class EndEvent(msgspec.Struct, frozen=True, gc=False):
    """An order of this bot has ended, with all its fills booked."""

    slot: str
    order_id: str
    filled: int
    code: str


class TimerEvent(msgspec.Struct, frozen=True, gc=False):
    """An instant that the strategy asked for has come."""


class SignalEvent(msgspec.Struct, frozen=True, gc=False):
    """An outside opinion about one instrument."""

    signal_id: str
    """Of its sender: the same one is heard once."""
    instrument_id: str
    direction: int
    """1 up, -1 down, 0 neither."""
    confidence: Decimal
    """From 0 to 1."""
    made_ms: int
    expires_ms: int | None = None
    """Nothing opens by it from then on; None: never."""


StrategyEvent = (
    BookEvent | PrintEvent | FundingEvent | FillEvent | EndEvent | TimerEvent | SignalEvent
)


# -------------------------------------------------------------------- what is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOrder:
    """An order of this bot that has not ended, or whose fills are not all booked."""

    slot: str
    order_id: str
    instrument_id: str
    side: Side
    price: int
    size: int
    filled: int
    certain: bool
    """Acknowledged, with no request under way; an uncertain one may fill, and may not be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The world as of one event."""

    now_ms: int
    instruments: Mapping[str, Instrument]
    books: Mapping[str, TradingBook] = field(default_factory=dict)
    """Of others: without the bot's own orders."""
    fundings: Mapping[str, Funding] = field(default_factory=dict)
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    standing: Mapping[str, WorkingOrder] = field(default_factory=dict)
    """By slot."""
    free: Mapping[str, int] = field(default_factory=dict)
    """Money that nothing reserves, by currency, in units of the instruments that settle in it."""

    def holding(self, instrument_id: str) -> Holding:
        """Return what the bot holds, which may be nothing."""
        return self.holdings.get(instrument_id, Holding())


# ------------------------------------------------------------------ what is wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The order that should stand in a slot from now on; it takes the place of the one before.

    With IOC or FOK it is tried once: the slot is empty again when it has ended.
    """

    slot: str
    instrument_id: str
    side: Side
    price: int
    size: int
    """What should still be open for a counterpart; what was filled before is not counted."""
    time_in_force: RestingTime = RestingTime.GTC
    post_only: bool = False
    reduce_only: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Nothing should stand in this slot any more."""

    slot: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A timer event is wanted at an instant; the earliest that was asked for counts."""

    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The strategy has nothing left to do: the bot stops when nothing stands any more."""

    why: str


Intent = Quote | Withdraw | Wake | Finished


def checked(intent: object, instruments: Collection[str]) -> Intent:
    """Return what a strategy wants.

    Raises:
        TypeError: it is no intent, or its price or size is no whole number.
        ValueError: its instrument is none of the bot's.
    """
    if not isinstance(intent, Intent):
        raise TypeError(f"{intent!r} is none of Quote, Withdraw, Wake and Finished")
    if isinstance(intent, Quote):
        for name, value in (("price", intent.price), ("size", intent.size)):
            if not isinstance(value, int):
                raise TypeError(f"{name} of a quote is {value!r}, which is no whole number")
        if intent.instrument_id not in instruments:
            raise ValueError(f"a quote is for {intent.instrument_id!r}, which the bot has not")
    return intent


Config_contra = TypeVar("Config_contra", contravariant=True)
State = TypeVar("State")


class Strategy(Protocol[Config_contra, State]):
    """One strategy. States are frozen, and plain enough for JSON: a snapshot is the state."""

    def begin(self, config: Config_contra) -> State:
        """Return the state of a bot that has seen nothing."""
        ...

    def on(
        self, config: Config_contra, state: State, event: StrategyEvent, view: View
    ) -> tuple[State, tuple[Intent, ...]]:
        """Return the state after an event, and what should be so from now on.

        A slot that no intent names stays as it is.
        """
        ...

    def explain(self, config: Config_contra, state: State, view: View) -> Mapping[str, str]:
        """Return for each slot, in a sentence with numbers, why it has this quote, or none."""
        ...
