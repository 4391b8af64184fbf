"""A bot's own resting orders in the books that its venue tells. Pure.

A venue's book has everybody's orders in it. A strategy decides by those of others: its own best
quote is no price that anybody else would trade at, and a mid made of it would follow itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from services.bots.core.orders import BotOrder
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import AT_ONCE, Level, NewOrder, TradingBook

Place = tuple[Side, int]
"""Side and price in a book."""
_RESTS = (BotOrderState.OPEN, BotOrderState.PARTIALLY_FILLED)


def place_in(instrument: Instrument, new: NewOrder, price: int) -> Place | None:
    """Return where an order at a price is shown in an instrument's book; None: it is not.

    The outcomes of one binary have one book: a bid for one is an offer of the other.
    """
    other = new.instrument
    if other.id == instrument.id:
        return new.side, price
    binary = instrument.kind is other.kind is InstrumentKind.BINARY
    if not binary or not instrument.group or instrument.group != other.group:
        return None
    return "SELL" if new.side == "BUY" else "BUY", 10**instrument.price_digits - price


def of_others(book: TradingBook, instrument: Instrument, own: Iterable[BotOrder]) -> TradingBook:
    """Return a venue's book without a bot's own orders.

    An order of which a request is under way may be there or not, and an amended one at either
    price: it is taken out where the level is large enough to have it.

    Args:
        book: as its venue told it.
        instrument: of the book.
        own: orders of the bot as they were known when the book came; of any instrument.
    """
    surely: dict[Place, int] = {}
    perhaps: dict[Place, list[tuple[int, ...]]] = {}
    for one in own:
        if one.state in ENDED or one.order.time_in_force in AT_ONCE:
            continue
        sure = one.state in _RESTS and one.pending is PendingRequest.NONE and one.change is None
        for price, sizes in _shown(one):
            place = place_in(instrument, one.order, price)
            if place is None:
                continue
            if sure:
                surely[place] = surely.get(place, 0) + sizes[0]
            else:
                perhaps.setdefault(place, []).append(sizes)
    if not surely and not perhaps:
        return book
    bids = _without(book.bids, "BUY", surely, perhaps)
    asks = _without(book.asks, "SELL", surely, perhaps)
    if bids is book.bids and asks is book.asks:
        return book
    return msgspec.structs.replace(book, bids=bids, asks=asks)


def _shown(one: BotOrder) -> list[tuple[int, tuple[int, ...]]]:
    """Return the prices at which an order may be shown, with its possible sizes, largest first."""
    filled = max(one.filled, one.reported_filled)
    left, change = one.size - filled, one.change
    if change is None:
        return [(one.price, (left,))]
    changed = left if change.size is None else change.size - filled
    if change.price in (None, one.price):
        return [(one.price, (max(left, changed), min(left, changed)))]
    return [(one.price, (left,)), (change.price, (changed,))]


def _without(
    levels: Sequence[Level],
    side: Side,
    surely: Mapping[Place, int],
    perhaps: Mapping[Place, Sequence[tuple[int, ...]]],
) -> Sequence[Level]:
    """Return levels without what is one's own; the same object if there is nothing of it."""
    found: list[Level] = []
    changed = False
    for price, size in levels:
        place = (side, price)
        left = size - surely.get(place, 0)
        for sizes in perhaps.get(place, ()):
            left -= next((one for one in sizes if 0 < one <= left), 0)
        changed |= left != size
        if left > 0:
            found.append((price, left))
    return tuple(found) if changed else levels
