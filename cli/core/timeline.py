"""The way of an order from hop to hop, with how long each took."""

from __future__ import annotations

from typing import Any

import msgspec

from cli.core.words import duration, moment

Json = dict[str, Any]

_HOPS = (
    ("tradedAt", "traded", "the leader traded (whole seconds, by the venue)"),
    ("receivedAt", "received", "the frame that told of it was here"),
    ("decidedAt", "decided", "router had decided"),
    ("claimedAt", "claimed", "the claim was durable"),
    ("submittingAt", "submitting", "it was durable that a byte may leave"),
    ("sentAt", "sent", "the first byte of the POST left"),
    ("answeredAt", "answered", "insiders-api had answered"),
    ("confirmedAt", "confirmed", "all was final and booked"),
)
_OF_GUARD = {"receivedAt": "its trigger had fired"}


class Hop(msgspec.Struct, rename="camel", kw_only=True):
    """One step on the way of an order."""

    name: str
    at: str
    meaning: str
    since_previous_us: int | None = None
    """Microseconds after the hop before; the first has none."""


def hops(order: Json) -> list[Hop]:
    """Return the hops that an order has passed, in their order."""
    times = order.get("times", {})
    guard = order.get("purpose") == "ORDER_PURPOSE_GUARD_EXIT"
    found: list[Hop] = []
    for name, short, meaning in _HOPS:
        at = times.get(name)
        if not at:
            continue
        since = None
        if found:
            since = round((moment(at) - moment(found[-1].at)).total_seconds() * 1e6)
        words = _OF_GUARD.get(name, meaning) if guard else meaning
        found.append(Hop(name=short, at=at, meaning=words, since_previous_us=since))
    return found


def own_time_us(order: Json) -> int | None:
    """Return microseconds from the frame to the first byte of the POST; None: it did not leave."""
    times = order.get("times", {})
    if "receivedAt" not in times or "sentAt" not in times:
        return None
    taken = moment(times["sentAt"]) - moment(times["receivedAt"])
    return round(taken.total_seconds() * 1e6)


def lines(order: Json) -> list[str]:
    """Return the timeline for people."""
    found = []
    for hop in hops(order):
        since = ""
        if hop.since_previous_us is not None:
            since = f"+{duration(hop.since_previous_us / 1e6)}"
        at = hop.at[11:26].removesuffix("Z")
        found.append(f"  {at:<16}{since:>10}  {hop.name:<11} {hop.meaning}")
    return found
