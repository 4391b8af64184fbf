"""Rows of the feeds merged into leader trades.

Feeds give rows without ids, the same row over several sources, and one leader order as several
rows. The state here only grows and is order-free: facts may come twice, late, or in any order, and
the result is the same (a map of maxima). Before it come ingest's facts, after it the router.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tradingtools.domain.money import MICROS

MAX_SHARES_MICROS = 10**18
"""Shares of one fact: a trade of many still fits into 64 bits. No wallet has ever had as many, and
a row that says so would make all that its leader sells next a small part of what he held."""


class Side(StrEnum):
    """The direction in which shares move, seen from the wallet that is named beside it."""

    BUY = "BUY"
    SELL = "SELL"


class Source(StrEnum):
    """Kinds of sources; counts of one kind are merged by the maximum."""

    FEED = "FEED"
    CATCH_UP = "CATCH_UP"


class Action(StrEnum):
    """The kind of move of a leader's shares; all but TRADE are exits that no trade shows."""

    TRADE = "TRADE"
    MERGE = "MERGE"
    REDEEM = "REDEEM"
    CONVERSION = "CONVERSION"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeKey:
    """A leader's trade: one transaction, asset and side."""

    leader_tx: str
    leader: str
    asset_id: str
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderRow:
    """The fact that a transaction holds at least ``count`` rows equal to this one."""

    key: TradeKey
    condition_id: str
    price_text: str
    price_micros: int
    """USDC per share; half-even, since a leader's price may be an average."""
    size_micros: int
    """Shares of one row."""
    count: int
    source: Source
    traded_ms: int
    """The venue's clock, milliseconds since the epoch; whole seconds in practice."""
    received_ns: int
    held_before_micros: int | None
    """What the leader held of the asset before the transaction; None: unknown."""
    title: str = ""
    traceparent: str = ""
    action: Action = Action.TRADE
    """MERGE and CONVERSION have no price of their own: it is 0."""
    leader_equity_micros: int | None = None
    """USDC that the leader's positions and cash are worth; None: unknown."""


_Fingerprint = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderTrade:
    """Everything known about one leader trade so far."""

    key: TradeKey
    condition_id: str
    traded_ms: int
    held_before_micros: int | None
    title: str
    traceparent: str
    rows: Mapping[tuple[Source, _Fingerprint], LeaderRow] = field(default_factory=dict)
    leader_equity_micros: int | None = None
    # Sums of the rows, made once: a fan-out asks for them for each follower.
    size_micros: int = field(init=False, repr=False, compare=False)
    """Shares of the whole trade: the greater total of the kinds of sources."""
    notional_micros: int = field(init=False, repr=False, compare=False)
    """USDC of the whole trade, rounded down, from the source with the greater size."""
    lowest_micros: int = field(init=False, repr=False, compare=False)
    highest_micros: int = field(init=False, repr=False, compare=False)
    """Prices of the rows; 0 without any."""

    def __post_init__(self) -> None:
        """Sum up the rows."""
        sizes = {source: self._size(source) for source in Source}
        # Ties go to the feed, which rounds less than the Data API does.
        best = max(Source, key=lambda source: (sizes[source], source is Source.FEED))
        notional = sum(
            row.size_micros * row.price_micros * row.count
            for (source, _), row in self.rows.items()
            if source is best
        )
        object.__setattr__(self, "size_micros", sizes[best])
        object.__setattr__(self, "notional_micros", notional // MICROS)
        prices = [row.price_micros for row in self.rows.values()]
        object.__setattr__(self, "lowest_micros", min(prices, default=0))
        object.__setattr__(self, "highest_micros", max(prices, default=0))

    @property
    def last_row_ns(self) -> int:
        """Return when the latest of its rows arrived."""
        return max(row.received_ns for row in self.rows.values())

    @property
    def revision(self) -> int:
        """Return how much has been counted; rises with each fact that adds something."""
        return sum(row.count for row in self.rows.values())

    def _size(self, source: Source) -> int:
        return sum(
            row.size_micros * row.count for (kind, _), row in self.rows.items() if kind is source
        )


def merge(trade: LeaderTrade | None, row: LeaderRow) -> LeaderTrade | None:
    """Add a fact; None when it adds nothing.

    Args:
        trade: what is known so far, or None for the first fact.
        row: of the same key.
    """
    slot = (row.source, (row.price_text, row.size_micros))
    if trade is None:
        return LeaderTrade(
            key=row.key,
            condition_id=row.condition_id,
            traded_ms=row.traded_ms,
            held_before_micros=row.held_before_micros,
            title=row.title,
            traceparent=row.traceparent,
            rows={slot: row},
            leader_equity_micros=row.leader_equity_micros,
        )
    known = trade.rows.get(slot)
    if known is not None and known.count >= row.count:
        return None
    return replace(
        trade,
        rows={**trade.rows, slot: row},
        traded_ms=min(trade.traded_ms, row.traded_ms),
        held_before_micros=(
            row.held_before_micros if trade.held_before_micros is None else trade.held_before_micros
        ),
        leader_equity_micros=(
            row.leader_equity_micros
            if trade.leader_equity_micros is None
            else trade.leader_equity_micros
        ),
    )
