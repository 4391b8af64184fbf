"""The durable permission to send orders, so that no order waits for a disk. Pure.

A permit is committed before the first order under it leaves. After a crash each of its order ids
that is not known to have ended is UNKNOWN, so nothing that could have left is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Leave to send orders of one instrument and side, under one lease."""

    bot_id: str
    epoch: int
    instrument_id: str
    side: Side
    first: int
    """The lowest number of an order under it; the ids follow from it."""
    last: int
    worst_price: int
    """Highest of buys, lowest of sells."""
    size: int
    """Of all orders and increases under it together."""
    expires_ms: int
    used: int = 0
    """Size that was sent under it."""

    def covers(self, *, number: int, price: int, size: int, until_ms: int) -> bool:
        """Return whether a request may leave that its venue may take until an instant."""
        within = price <= self.worst_price if self.side == "BUY" else price >= self.worst_price
        return (
            within
            and self.first <= number <= self.last
            and self.used + size <= self.size
            and until_ms <= self.expires_ms
        )

    def spend(self, size: int) -> Permit:
        """Return what is left of it after a request."""
        return replace(self, used=self.used + size)


def order_id(bot_id: str, epoch: int, number: int) -> str:
    """Return the id of a bot's order: letters and digits, at most 32.

    Args:
        bot_id: twelve letters and digits at most.
        epoch: of the lease.
        number: counted by its owner, from 1.

    Raises:
        ValueError: the bot's id is none that fits.
    """
    if not (bot_id.isascii() and bot_id.isalnum() and len(bot_id) <= 12):
        raise ValueError(f"{bot_id!r} is no id of a bot: twelve letters or digits at most")
    text = f"{bot_id}e{epoch:x}n{number:x}"
    if len(text) > 32:
        raise ValueError(f"{text} is longer than venues allow")
    return text


def number_of(order: str, bot_id: str) -> tuple[int, int] | None:
    """Return epoch and number of an id that is this bot's; None: it is somebody else's."""
    if not order.startswith(f"{bot_id}e"):
        return None
    epoch, mark, number = order[len(bot_id) + 1 :].partition("n")
    try:
        found = int(epoch, 16), int(number, 16)
    except ValueError:
        return None
    return found if mark and order == order_id(bot_id, *found) else None


def requested(  # noqa: PLR0913
    *,
    bot_id: str,
    epoch: int,
    instrument: Instrument,
    side: Side,
    number: int,
    price: int,
    size: int,
    expires_ms: int,
    orders: int = 4096,
    room: int = 20,
) -> Permit:
    """Return the permit to ask for when a request has none: for it and for those that follow.

    Args:
        bot_id: whose.
        epoch: of its lease.
        instrument: what is traded.
        side: of the orders.
        number: of the next order.
        price: of the request; the permit lets in 2 % worse ones, so that quotes may move.
        size: of the request.
        expires_ms: until when; never later than the lease.
        orders: how many orders it is for.
        room: how many times the size.
    """
    slack = max(abs(price) // 50, instrument.tick_size)
    return Permit(
        bot_id=bot_id,
        epoch=epoch,
        instrument_id=instrument.id,
        side=side,
        first=number,
        last=number + orders - 1,
        worst_price=price + slack if side == "BUY" else max(price - slack, 0),
        size=size * room,
        expires_ms=expires_ms,
    )
