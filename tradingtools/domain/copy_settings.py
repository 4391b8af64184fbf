"""Settings of a subscription beyond sizing mode and basic caps: tiers, caps, filters, exits,
shadow.

Absent (None, or an empty list) is not zero: an absent setting does not limit. Before it come
control's rules, which made these values of what a caller wrote; after it the router's decisions.
The JSON form is what the column ``subscription.settings`` and frozen decisions hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class BelowMinimum(StrEnum):
    """The treatment of a copy below the market's minimum order."""

    SKIP = "SKIP"
    ROUND_UP = "ROUND_UP"
    """The minimum is bought, if every cap still allows it."""
    ACCUMULATE = "ACCUMULATE"
    """Its money is added to the next copies of the asset until they reach the minimum."""


class DoubtfulBook(StrEnum):
    """The treatment of an entry while its book says nothing: stale, crossed, or not there yet."""

    COPY = "COPY"
    """It is ordered at the leader's limit, without a look at depth and spread."""
    WAIT = "WAIT"
    """It waits so long for a good book, and is skipped without one."""
    SKIP = "SKIP"


class Sides(StrEnum):
    """The leader's trades that are copied."""

    BOTH = "BOTH"
    BUYS = "BUYS"
    SELLS = "SELLS"


class ExitMode(StrEnum):
    """The effect of a leader's sell on the lot."""

    MIRROR = "MIRROR"
    """In proportion to the leader's reduction."""
    ALL = "ALL"
    """The first sell of the leader sells everything."""
    NONE = "NONE"
    """Nothing: only the guard sells."""


class ExitBelowMinimum(StrEnum):
    """The treatment of an exit below the market's minimum order while the leader keeps some."""

    ACCUMULATE = "ACCUMULATE"
    """It is added to the leader's next sells of the outcome until together they reach it."""
    ROUND_UP = "ROUND_UP"
    """The minimum is sold, and all of the lot where less than the minimum would be left."""
    WAIT = "WAIT"
    """Its shares stay, as part of what the leader's next sells reduce."""


class OppositeSide(StrEnum):
    """The treatment of a buy of the other outcome of a market that was copied already."""

    COPY = "COPY"
    FIRST_ONLY = "FIRST_ONLY"
    """Only the outcome that this subscription holds or is buying."""
    SKIP = "SKIP"
    """No entry any more once the leader was seen to buy both."""


class StartMode(StrEnum):
    """The leader's positions that are followed."""

    BASELINE = "BASELINE"
    """Only what is traded after the start."""
    MIRROR = "MIRROR"
    """What the leader holds at the start, too."""


class UnknownLeader(StrEnum):
    """The choice of a filter by leaders' statistics where there are none, or old ones."""

    SKIP = "SKIP"
    COPY = "COPY"


DOUBTFUL_BOOK_WAIT_MS = 500
LEADER_AGE_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """From a leader notional on: USDC per copy, or a factor on the notional. Micros."""

    from_micros: int
    fixed_micros: int | None = None
    ratio_micros: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderFilter:
    """Bounds of a leader's statistics within which his buys are copied. None: anything.

    Ratios in millionths, of the last ninety days unless they say otherwise.
    """

    min_trades_30d: int | None = None
    min_win_rate_micros: int | None = None
    """Of the lower bound of his win rate: five of five is no certainty."""
    min_profit_factor_micros: int | None = None
    max_drawdown_micros: int | None = None
    """Fall from the peak, by what was at work."""
    min_copyability_micros: int | None = None
    """Of his edge less what 100 USDC three seconds after him cost more."""
    on_missing: UnknownLeader = UnknownLeader.SKIP
    max_age_seconds: int | None = None
    """Of the statistics; None: ``LEADER_AGE_SECONDS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySettings:
    """Settings of one subscription. Amounts and fractions in micros; None: absent."""

    tiers: tuple[Tier, ...] = ()
    """Ascending by ``from_micros``; below the first nothing is copied."""
    multiplier_micros: int | None = None
    """Factor on what the mode gives; None: one."""
    below_minimum: BelowMinimum = BelowMinimum.SKIP
    max_per_leader_micros: int | None = None
    """USDC at cost in all markets of this subscription, held and reserved."""
    max_total_micros: int | None = None
    """USDC at cost of the follower's wallet over all its subscriptions, held and reserved."""
    max_per_day_micros: int | None = None
    """USDC spent on entries in one UTC day by this subscription, fees included."""
    max_spread_micros: int | None = None
    """Best ask minus best bid, USDC per share."""
    min_depth_micros: int | None = None
    """Part of the size that the book must hold within the limit; None: a half."""
    on_doubtful_book: DoubtfulBook = DoubtfulBook.COPY
    doubtful_book_wait_ms: int | None = None
    """For WAIT; None: ``DOUBTFUL_BOOK_WAIT_MS``."""
    max_positions: int | None = None
    """Outcomes held or being bought at once."""
    max_buys_per_outcome: int | None = None
    sides: Sides = Sides.BOTH
    min_price_micros: int | None = None
    max_price_micros: int | None = None
    """Of the leader; the limit of a copy is not above it either."""
    min_leader_micros: int | None = None
    """USDC of the leader's trade below which nothing is copied."""
    markets_allowed: tuple[str, ...] = ()
    markets_denied: tuple[str, ...] = ()
    """Conditions."""
    categories_allowed: tuple[str, ...] = ()
    categories_denied: tuple[str, ...] = ()
    """Lower case."""
    min_seconds_to_end: int | None = None
    leader: LeaderFilter | None = None
    opposite_side: OppositeSide = OppositeSide.COPY
    exit_mode: ExitMode = ExitMode.MIRROR
    exit_below_minimum: ExitBelowMinimum = ExitBelowMinimum.ACCUMULATE
    exit_max_slippage_micros: int | None = None
    """How much less than the leader's price an exit may bring, as a fraction; None: any."""
    shadow: bool = False
    """Decide and record, send nothing."""
    start: StartMode = StartMode.BASELINE


DEFAULTS = CopySettings()
_USUAL = tuple((field.name, getattr(DEFAULTS, field.name)) for field in fields(CopySettings))

_ENUMS = {
    "below_minimum": BelowMinimum,
    "on_doubtful_book": DoubtfulBook,
    "sides": Sides,
    "opposite_side": OppositeSide,
    "exit_mode": ExitMode,
    "exit_below_minimum": ExitBelowMinimum,
    "start": StartMode,
}


def to_json(settings: CopySettings) -> dict[str, Any]:
    """Return what differs from the defaults, as JSON values."""
    found: dict[str, Any] = {}
    for name, usual in _USUAL:
        value = getattr(settings, name)
        if value == usual:
            continue
        if name == "tiers":
            value = [_without_absent(tier) for tier in value]
        elif isinstance(value, LeaderFilter):
            value = _without_absent(value)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, StrEnum):
            value = value.value
        found[name] = value
    return found


def _without_absent(part: Tier | LeaderFilter) -> dict[str, int | str]:
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {name: value for name, value in values.items() if value is not None}


def from_json(values: Mapping[str, Any]) -> CopySettings:
    """Return the settings of their JSON form.

    Raises:
        ValueError, TypeError: a name or a value that is none of ours.
    """
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name == "tiers":
            read[name] = tuple(Tier(**tier) for tier in value)
        elif name == "leader":
            unknown = UnknownLeader(value.get("on_missing", UnknownLeader.SKIP))
            read[name] = LeaderFilter(**{**value, "on_missing": unknown})
        elif name in _ENUMS:
            read[name] = _ENUMS[name](value)
        else:
            read[name] = tuple(value) if isinstance(value, list) else value
    return CopySettings(**read)
