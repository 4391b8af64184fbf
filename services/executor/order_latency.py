"""Measure the hops of an order in this process, from instants that are taken anyway.

The recorder calls it when an outcome is durable and published.
"""

from __future__ import annotations

from services.executor.core.attempt import Attempt
from tradingtools.domain.order import Purpose
from tradingtools.runtime import instruments

_hop = instruments.Histogram(
    "order_hop_seconds",
    "submit: claimed to SUBMITTING's commit, without held: by the collar, of those that it held;"
    " send: to the first byte of the POST; answer: to the end of the answer",
    label="hop",
    values=("held", "submit", "send", "answer"),
)
_own = instruments.Histogram(
    "order_own_seconds",
    "From the frame, or whatever else asked for the order, to the first byte of its POST, without"
    " what the collar held it",
    label="purpose",
    values=Purpose,
)


def observe(attempt: Attempt, *, first_byte_ns: int, answered_ns: int) -> None:
    """Take the hops of an attempt that was answered.

    Args:
        attempt: of a later one only the answer counts: what was before it waited on purpose.
        first_byte_ns: when its first byte left, since the epoch.
        answered_ns: when its answer was there.
    """
    origin = attempt.origin
    trace = origin.traceparent
    _hop.observe_ns(answered_ns - first_byte_ns, "answer", trace)
    if attempt.number > 1:
        return
    if origin.held_ns:
        _hop.observe_ns(origin.held_ns, "held", trace)
    _hop.observe_ns(attempt.submitting_ns - origin.claimed_ns - origin.held_ns, "submit", trace)
    _hop.observe_ns(first_byte_ns - attempt.submitting_ns, "send", trace)
    if origin.received_ns:
        own_ns = first_byte_ns - origin.received_ns - origin.held_ns
        _own.observe_ns(own_ns, attempt.order.purpose, trace)
