"""The requests that bring what stands to what should stand, slot by slot. Pure.

A slot has at most one order that may fill. So a new quote amends the order where the venue can and
the change keeps it; else it is cancelled, and the new one is placed when the old one has ended.
What is uncertain is waited for: two orders for one slot is what must not happen.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.bots.core.orders import BotOrder
from services.bots.core.strategy import Quote
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.venues.trading import AT_ONCE, RestingTime, TradingCapabilities


@dataclass(frozen=True, slots=True)
class PlaceNeeded:
    """An order is to be placed for a slot."""

    quote: Quote


@dataclass(frozen=True, slots=True)
class AmendNeeded:
    """The slot's order is to get another price or whole size; None: as it is."""

    order: BotOrder
    price: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class CancelNeeded:
    """The slot's order is to end."""

    order: BotOrder


Wanted = PlaceNeeded | AmendNeeded | CancelNeeded

_CLOSED = (TradingPhase.SUSPENDED, TradingPhase.ENDED)
_RESTS = (BotOrderState.OPEN, BotOrderState.PARTIALLY_FILLED)


def desired(
    quote: Quote | None,
    order: BotOrder | None,
    instrument: Instrument,
    capabilities: TradingCapabilities,
) -> Wanted | None:
    """Return the next request for one slot, or None: all is as wanted, or has to be waited for.

    Args:
        quote: what should stand; None: nothing.
        order: the slot's last order; None: there was none.
        instrument: of both.
        capabilities: of its venue.
    """
    if instrument.phase is TradingPhase.ENDED:
        quote = None
    if order is None or order.settled:
        return PlaceNeeded(quote) if quote is not None and _placeable(quote, instrument) else None
    if order.state in ENDED or order.order.time_in_force in AT_ONCE:
        return None
    if order.state not in _RESTS or order.pending is not PendingRequest.NONE:
        return _while_uncertain(quote, order, capabilities)
    if quote is None or _another(quote, order, capabilities):
        return CancelNeeded(order)
    whole = quote.size + order.filled
    if instrument.maximum_size is not None:
        # The rest is wanted once this one is filled.
        whole = min(whole, instrument.maximum_size - instrument.maximum_size % instrument.lot_size)
    if order.price == quote.price and order.size == whole:
        return None
    if not capabilities.amend or order.change is not None or not _placeable(quote, instrument):
        return CancelNeeded(order)
    return AmendNeeded(
        order,
        quote.price if quote.price != order.price else None,
        whole if whole != order.size else None,
    )


def _while_uncertain(
    quote: Quote | None, order: BotOrder, capabilities: TradingCapabilities
) -> CancelNeeded | None:
    """A cancel does not wait for the answer to a place: it only makes less of it."""
    unwanted = quote is None or _another(quote, order, capabilities)
    cancellable = order.state is not BotOrderState.INTENDED
    if unwanted and cancellable and order.pending is not PendingRequest.CANCEL:
        return CancelNeeded(order)
    return None


def time_at(capabilities: TradingCapabilities, time: RestingTime) -> RestingTime:
    """Return the time that a venue is told: where no order rests for ever, each has an end."""
    forever = time is RestingTime.GTC and capabilities.rests_for_ms is not None
    return RestingTime.GTD if forever else time


def _another(quote: Quote, order: BotOrder, capabilities: TradingCapabilities) -> bool:
    new = order.order
    return (
        quote.instrument_id != new.instrument.id
        or quote.side != new.side
        or quote.post_only != new.post_only
        or quote.reduce_only != new.reduce_only
        or time_at(capabilities, quote.time_in_force) != new.time_in_force
    )


def _placeable(quote: Quote, instrument: Instrument) -> bool:
    if instrument.phase in _CLOSED:
        return False
    if instrument.phase is TradingPhase.POST_ONLY and not quote.post_only:
        return False
    return quote.size >= instrument.minimum_size and quote.size % instrument.lot_size == 0
