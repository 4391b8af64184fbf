"""Measure what an engine does right now, from the events of the last seconds and the orders
under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from cli.core import timeline
from cli.core.words import bare, moment

Json = dict[str, Any]


class Latency(msgspec.Struct, rename="camel", kw_only=True):
    """Of one hop, over the newest orders."""

    hop: str
    orders: int
    p50_us: int
    p99_us: int


class Load(msgspec.Struct, rename="camel", kw_only=True):
    """One look at an engine."""

    at: str
    window_seconds: float
    per_second: dict[str, float]
    """By kind of event."""
    skipped: dict[str, int]
    """By reason, in the window."""
    failed: dict[str, int]
    """Orders, by reason, in the window."""
    open_orders: dict[str, int] | None
    """By state; null without an operators' token."""
    latencies: list[Latency]
    parts: list[Json]
    halts: list[Json] | None


def seen(events: Sequence[Json], now: str, window: float) -> list[Json]:
    """Return the events of the last so many seconds."""
    end = moment(now)
    return [one for one in events if (end - moment(one["time"])).total_seconds() <= window]


def rates(events: Iterable[Json], window: float) -> dict[str, float]:
    """Return how many events of each type came a second."""
    counted = Counter(event["type"] for event in events)
    return {name: round(number / window, 4) for name, number in counted.most_common()}


def reasons(events: Iterable[Json], kind: str) -> dict[str, int]:
    """Return how often each reason was told by events of a type."""
    return dict(
        Counter(
            event["data"].get("reason") or "-" for event in events if event["type"] == kind
        ).most_common()
    )


def by_state(orders: Iterable[Json]) -> dict[str, int]:
    """Return how many orders of the operators' list are in each state."""
    return dict(Counter(bare(order["state"], "ORDER_STATE_") for order in orders))


def latencies(orders: Iterable[Json]) -> list[Latency]:
    """Return how long each hop took, and our own time first."""
    found: dict[str, list[int]] = {"own": []}
    for order in orders:
        if (own := timeline.own_time_us(order)) is not None:
            found["own"].append(own)
        for hop in timeline.hops(order):
            # The venue's seconds are whole: how late the frame was is no latency of ours.
            if hop.since_previous_us is not None and hop.name != "received":
                found.setdefault(hop.name, []).append(hop.since_previous_us)
    return [
        Latency(hop=hop, orders=len(us), p50_us=_quantile(us, 50), p99_us=_quantile(us, 99))
        for hop, us in found.items()
        if us
    ]


def _quantile(values: list[int], percent: int) -> int:
    """Return the smallest value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1]
