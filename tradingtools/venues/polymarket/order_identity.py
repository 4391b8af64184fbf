"""Salt and timestamp of an order, from our own id of it and the instant at which it was made.

Two values of a signed order are free, and others draw the one and read the other off a clock. Here
both follow from what is durable of it, so an order that was prepared once has one hash for ever: it
is known before the first byte leaves, and after a crash it is computed again instead of remembered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tradingtools.venues.polymarket.order_signing import SALT_BITS

_VERSION = b"tradingtools/clob-salt/2:"
_LONGEST = 32


@dataclass(frozen=True, slots=True)
class OrderIdentity:
    """The number below 2^53 and the ms since the epoch that tell an order from an equal one."""

    salt: int
    timestamp_ms: int


def order_identity(order_id: str, created_ms: int) -> OrderIdentity:
    """Return salt and timestamp of one of our orders.

    Raises:
        ValueError: the id is none, or the instant is not told.
    """
    if not (order_id.isascii() and order_id.isalnum() and len(order_id) <= _LONGEST):
        raise ValueError(f"an order id has letters and digits, at most {_LONGEST}")
    if created_ms <= 0:
        raise ValueError("the instant at which the order was made is not told")
    digest = hashlib.sha256(_VERSION + order_id.encode()).digest()
    return OrderIdentity(int.from_bytes(digest[:8], "big") >> (64 - SALT_BITS), created_ms)
