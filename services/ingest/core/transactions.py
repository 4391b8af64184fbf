"""Count the rows of one transaction of a leader, by source."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.ingest.core.holdings import At
from tradingtools.venues.ports import Side, TradeRow

FeedSource = tuple[int, str]
"""A connection's number and the type of its frames."""
RowKey = tuple[str, Side, str, int]
"""What equal rows of a transaction have in common."""


def row_key(row: TradeRow) -> RowKey:
    """Return what a row has in common with those that are equal to it."""
    return row.asset_id, row.side, row.price_text, row.size_micros


@dataclass(slots=True)
class Counts:
    """The number of times that a row was reported."""

    by_source: dict[FeedSource, int] = field(default_factory=dict)
    feed: int = 0
    caught_up: int = 0


@dataclass(slots=True)
class _Shares:
    """Of one asset, 1e-6, as the feed counts them and as catch-up does."""

    bought: list[int] = field(default_factory=lambda: [0, 0])
    sold: list[int] = field(default_factory=lambda: [0, 0])


@dataclass(slots=True)
class Transaction:
    """A leader's rows of one transaction, as far as they are known."""

    at: At
    touched_ms: int
    traceparent: str
    rows: dict[RowKey, Counts] = field(default_factory=dict)
    held_before: dict[str, int | None] = field(default_factory=dict)
    _shares: dict[str, _Shares] = field(default_factory=dict)

    @property
    def assets(self) -> list[str]:
        """Return all assets that it moved."""
        return list(self._shares)

    def counts(self, key: RowKey) -> Counts:
        """Return the counts of equal rows."""
        found = self.rows.get(key)
        if found is None:
            found = self.rows[key] = Counts()
        return found

    def take(self, row: TradeRow, counts: Counts, count: int, *, caught_up: bool) -> int:
        """Take a count that has grown; return the net shares that the transaction moves now.

        Of each side the greater total of feed and catch-up counts, 1e-6.
        """
        shares = self._shares.get(row.asset_id)
        if shares is None:
            shares = self._shares[row.asset_id] = _Shares()
        totals = shares.bought if row.side == "BUY" else shares.sold
        if caught_up:
            totals[1] += row.size_micros * (count - counts.caught_up)
            counts.caught_up = count
        else:
            totals[0] += row.size_micros * (count - counts.feed)
            counts.feed = count
        return max(shares.bought) - max(shares.sold)
