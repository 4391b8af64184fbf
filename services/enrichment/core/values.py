"""Hold what statistics are computed from, and what they are, as frozen values.

Amounts are micros (1e-6) of USDC or shares, instants milliseconds since the epoch. What nobody
knows is None. The results have the field names of `protos/tradingtools/v1/enrichment.proto`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from tradingtools.domain.book import Level
from tradingtools.domain.money import notional_floor
from tradingtools.venues.ports import Action, Side

DAY_MS = 86_400_000


class Activity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of what a leader did. Rows of one transaction, asset and side are one trade."""

    tx: str
    condition_id: str
    asset_id: str
    """Empty: every outcome of the condition, of a merge or a split."""
    side: Side
    size_micros: int
    price_micros: int
    at_ms: int
    action: Action = "TRADE"
    maker: bool | None = None

    @property
    def notional_micros(self) -> int:
        """Return USDC for the row, rounded down."""
        return notional_floor(self.size_micros, self.price_micros)


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a market that statistics need; outcomes come from its resolution alone."""

    condition_id: str
    asset_ids: tuple[str, ...]
    category: str = "other"
    group: str = ""
    """Of markets that can be converted into each other (neg-risk); empty: it stands alone."""
    payout_micros: tuple[int, ...] = ()
    """Of one share of each outcome; empty: not resolved."""
    resolved_ms: int | None = None


class Marks(msgspec.Struct, frozen=True):
    """Prices of outcomes over time."""

    by_asset: Mapping[str, Sequence[tuple[int, int]]]
    """Instant and micros of USDC a share, oldest first."""
    stands_ms: int = DAY_MS
    """How long a mark is believed."""

    def at(self, asset_id: str, at_ms: int) -> int | None:
        """Return the price of an outcome at an instant; None: no mark still stands."""
        known = self.by_asset.get(asset_id, ())
        after = bisect_right(known, at_ms, key=lambda mark: mark[0])
        if not after or known[after - 1][0] < at_ms - self.stands_ms:
            return None
        return known[after - 1][1]


NO_MARKS = Marks({})

Books = Mapping[tuple[str, str], Mapping[int, Sequence[Level]]]
"""By transaction and asset of a buy: the asks, best first, so many seconds after it."""


class EvidenceGap(StrEnum):
    """The reason why a record is no evidence."""

    FEW_RESOLVED = "FEW_RESOLVED"
    MARKET_MAKER = "MARKET_MAKER"
    INACTIVE = "INACTIVE"
    UNKNOWN_COST = "UNKNOWN_COST"


class Latency(StrEnum):
    """The time after a leader's buys in which the price moves away."""

    UNSPECIFIED = "UNSPECIFIED"
    SLOW = "SLOW"
    QUICK = "QUICK"
    NEWS = "NEWS"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """See LeaderWindow."""

    days: int
    realised_micros: int
    marked_micros: int | None
    bought_micros: int
    closed_cost_micros: int
    roi: float | None
    trades: int
    markets: int
    resolved: int
    won: int
    win_rate: float | None
    win_rate_low: float | None
    win_rate_high: float | None
    profit_factor: float | None
    sharpe: float | None
    sortino: float | None
    largest_drawdown_micros: int
    largest_drawdown: float | None


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """See LeaderCategory."""

    category: str
    trades: int
    markets: int
    bought_micros: int
    realised_micros: int
    resolved: int
    won: int


class Copyability(msgspec.Struct, frozen=True, kw_only=True):
    """See Copyability of the contract."""

    delay_seconds: int
    amount_micros: int
    observed: int
    unobserved: int
    spent_micros: int
    shares_micros: int
    leader_cost_micros: int
    unfilled_micros: int
    slippage: float | None
    filled: float | None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """See LeaderDay."""

    day_ms: int
    realised_micros: int
    cumulative_micros: int
    trades: int
    equity_micros: int | None


class LeaderStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """See LeaderStatistics of the contract; its version is the snapshot's."""

    wallet: str
    as_of_ms: int
    windows: tuple[Window, ...]
    first_trade_ms: int | None
    last_trade_ms: int | None
    median_size_micros: int | None
    holding_ms: int | None
    maker_micros: int | None
    taker_micros: int | None
    categories: tuple[Category, ...]
    concentration: float | None
    latency_class: Latency
    copyability: tuple[Copyability, ...]
    gaps: tuple[EvidenceGap, ...]
    edge: float | None
    score: float | None
    days: tuple[Day, ...]
    open_cost_micros: int
    open_value_micros: int | None
    unmarked: int
    unknown_cost_micros: int
