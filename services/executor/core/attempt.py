"""One attempt to send an order, as its SUBMITTING commit allows it. Pure."""

from __future__ import annotations

import msgspec

from tradingtools.domain.order import Order, Purpose


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The way of an order up to its claim, for metrics and traces. Instants: since the epoch."""

    traceparent: str = ""
    received_ns: int = 0
    """When the frame or request behind it was received; 0: unknown."""
    claimed_ns: int = 0
    held_ns: int = 0
    """How long the collar has held it since."""


NO_ORIGIN = Origin()
_ENTRY = Purpose.ENTRY
"""Looked up once: it is on the way to each first byte."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that a SUBMITTING commit allows to be sent, and the epoch of its row."""

    order: Order
    epoch: int = 1
    number: int = 1
    gates_checked_ns: int = 0
    """Its SUBMITTING looked at the gates after this instant, `monotonic_ns`."""
    probe: int = 0
    """Not 0: the one request that a circuit breaker lets out, see `CircuitBreaker.take_probe`."""
    by_settings: bool = False
    """Of a further attempt: that one key is one order is said by the settings, see `promise`."""
    origin: Origin = NO_ORIGIN
    submitting_ns: int = 0
    """When its SUBMITTING was known to be committed, since the epoch."""

    @property
    def lane(self) -> str:
        """Return the lane in which attempts are sent one by one: entries of a wallet keep their
        order.

        An exit waits for nobody, its shares are reserved; nor does what is late already, nor a
        probe: those of its wallet may wait for what it finds out.
        """
        waits = self.order.purpose is _ENTRY and self.number == 1 and not self.probe
        return self.order.follower.proxy if waits else self.order.order_key
