"""The kinds of triggers. Shared by control, which takes them, and guard, which fires them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum


class TriggerType(StrEnum):
    """The condition that makes a trigger fire. In the order in which the triggers of a lot are
    judged."""

    STOP_LOSS = "STOP_LOSS"
    """At or below its price."""
    TRAILING_STOP = "TRAILING_STOP"
    """A callback below the best price since its price was first reached."""
    TAKE_PROFIT = "TAKE_PROFIT"
    """At or above its price."""
    LADDER = "LADDER"
    """At or above the price of each of its rungs, one after the other."""
    TIME_STOP = "TIME_STOP"
    """From an instant on, at whatever price."""


UNPRICED = frozenset({TriggerType.TIME_STOP, TriggerType.LADDER})
"""These have no one price."""
MAX_RUNGS = 10
MANUAL = "manual"
"""The origin of lots that a follower has bought by hand."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder."""

    price_micros: int
    share_ppm: int
    """Of the shares that the ladder began with, millionths; the last rung takes the rest."""


def rungs_from_fields(fields: Iterable[Mapping[str, int]] | None) -> tuple[Rung, ...]:
    """Rungs as their row keeps them; None: no ladder."""
    return tuple(Rung(f["price_micros"], f["share_ppm"]) for f in fields or ())


def rungs_to_fields(rungs: Iterable[Rung]) -> list[dict[str, int]]:
    """Rungs as their row keeps them."""
    return [asdict(rung) for rung in rungs]
