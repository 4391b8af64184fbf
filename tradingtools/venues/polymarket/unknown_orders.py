"""Orders whose place or cancel was not answered: how they are brought to an end. Pure.

The venue has no deadline for a request and no cancel of what is on its way. So an order that nobody
answered for may come to rest, or take, as long as it has not expired; it is cancelled by its hash
again and again, since a cancel may overtake the place, and until a look after the last possible
instant finds nothing, it counts as reserved.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.venues.trading import OrderReport, OrderStatus, RestingTime

HORIZON_MS = 180_000
"""After an order's end: the venue's minute, clocks that differ, and what settles late."""
REQUEST_LIVES_MS = 600_000
"""A request may be on its way for so long. Orders that never rest have no other end."""
FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 15_000

_ENDED = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
)


class Conclusion(Enum):
    """The next step for an order that was not answered for."""

    CANCEL_AND_LOOK = auto()
    """Nothing is proved yet."""
    ENDED = auto()
    """The venue knows the order, and it has ended: its fills are what counts."""
    LOST = auto()
    """It never came to anything, and cannot any more: what it reserved is free."""
    KEEP = auto()
    """It has no end that could be waited for: a person decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOrder:
    """An order as it was sent.

    ``sent_ms`` is the last instant at which a byte of it may have left, ``expires_ms`` when a GTD
    order ends.
    """

    order_id: str
    venue_order_id: str
    time_in_force: RestingTime
    sent_ms: int
    expires_ms: int | None

    @property
    def last_possible_ms(self) -> int | None:
        """Return after which instant nothing can come of it; None: there is none."""
        if self.time_in_force is RestingTime.GTC:
            return None
        request_ms = self.sent_ms + REQUEST_LIVES_MS
        if self.expires_ms is None:
            return request_ms
        return self.expires_ms + HORIZON_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The answer of the venue to a question for the order, asked at `asked_ms`."""

    asked_ms: int
    found: OrderReport | None


def conclude(order: UnknownOrder, looks: int, last: Look | None) -> Conclusion:
    """Return what follows from what is known.

    Args:
        order: as it was sent.
        looks: how often the venue has answered.
        last: its last answer; None: it has not answered yet.
    """
    if last is None:
        return Conclusion.CANCEL_AND_LOOK
    if last.found is not None:
        ended = last.found.status in _ENDED
        return Conclusion.ENDED if ended else Conclusion.CANCEL_AND_LOOK
    until = order.last_possible_ms
    if until is None:
        return Conclusion.KEEP if looks >= _LOOKS_OF_GTC else Conclusion.CANCEL_AND_LOOK
    return Conclusion.LOST if last.asked_ms > until else Conclusion.CANCEL_AND_LOOK


def pause_ms(order: UnknownOrder, looks: int, now_ms: int) -> int:
    """Return how long to wait before the next cancel and look: twice as long each time, and no
    longer than to the instant after which a look proves something."""
    pause = min(FIRST_PAUSE_MS << min(looks, 10), LONGEST_PAUSE_MS)
    until = order.last_possible_ms
    if until is None or now_ms > until:
        return pause
    return max(1, min(pause, until + 1 - now_ms))


_LOOKS_OF_GTC = 60
