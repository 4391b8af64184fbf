"""What a subscription would hold if every copy had worked, and why it does not. Pure.

Before it: what was decided and ordered, sold by triggers and paid out, oldest first. After it: the
drift that REST shows. A leader's sell takes the same part of what would be held as the leader sold
of his own; when that is unknown, all of it, as the router does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What moved, or would have moved, a lot."""

    ENTRY = "ENTRY"
    LEADER_SELL = "LEADER_SELL"
    OWN_SALE = "OWN_SALE"
    """Of a trigger: the follower's own decision, whatever came of the copies."""
    RESYNC = "RESYNC"
    """What was missing or too much by then was set right, as far as the subscription allows."""
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One of them; micros of shares."""

    kind: Kind
    size_micros: int = 0
    """ENTRY: ordered; LEADER_SELL: sold by the leader; OWN_SALE: filled;
    RESYNC: what the lot was to hold after it."""
    held_micros: int | None = None
    """LEADER_SELL: what the leader held before; None: unknown."""
    everything: bool = False
    """LEADER_SELL: the subscription leaves with the first sell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Shares that were ordered and not filled, or leader trades that were not copied."""

    side: str
    reason: str
    number: int
    """Orders, or leader trades."""
    size_micros: int | None
    """None: never ordered."""


def ideal(events: Iterable[Event]) -> int:
    """Shares that would be held, micros; never less than 0."""
    held = 0
    for event in events:
        match event.kind:
            case Kind.ENTRY:
                held += event.size_micros
            case Kind.LEADER_SELL:
                held -= _follow(held, event)
            case Kind.OWN_SALE:
                held -= min(held, event.size_micros)
            case Kind.RESYNC:
                held = event.size_micros
            case Kind.RESOLVED:
                held = 0
    return held


def _follow(held: int, sell: Event) -> int:
    before = sell.held_micros
    if sell.everything or not before or sell.size_micros >= before:
        return held
    return held * sell.size_micros // before


def unexplained(ideal_micros: int, held_micros: int, shortfalls: Sequence[Shortfall]) -> int:
    """What of the difference no shortfall names: what exits in proportion make of earlier ones, and
    rounding to the market's step.

    What was not bought is missing, what was not sold is too much.
    """
    named = sum(
        (1 if one.side == "BUY" else -1) * one.size_micros
        for one in shortfalls
        if one.size_micros is not None
    )
    return ideal_micros - held_micros - named
