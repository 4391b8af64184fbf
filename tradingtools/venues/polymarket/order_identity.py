"""Salt and timestamp of an order, from our own id of it.

Two values of a signed order are free, and others draw the one and read the other off a clock. Here
both follow from the id, so an order that was prepared once has one hash for ever: it is known
before the first byte leaves, and after a crash it is computed again instead of remembered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tradingtools.domain import ids
from tradingtools.venues.polymarket.order_signing import SALT_BITS

_VERSION = b"tradingtools/clob-salt/1:"


@dataclass(frozen=True, slots=True)
class OrderIdentity:
    """The number below 2^53 and the ms since the epoch that tell an order from an equal one."""

    salt: int
    timestamp_ms: int


def order_identity(order_id: str) -> OrderIdentity:
    """Return salt and timestamp of one of our orders, whose id is one of `ids.timed_order_id`.

    Raises:
        IdError: it is no such id.
    """
    timestamp_ms = ids.created_ms(order_id)
    digest = hashlib.sha256(_VERSION + order_id.encode()).digest()
    return OrderIdentity(int.from_bytes(digest[:8], "big") >> (64 - SALT_BITS), timestamp_ms)
