"""The trades that were played, and the part that the Data API shows at an instant.

Rows become visible some time after they were played, as the real indexer lags behind the feed.
Newest first; a cursor names the last row shown, so that new rows do not shift a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paper.venue.core.markets import Market
from paper.venue.core.moves import Move
from paper.venue.core.positions import Holder, Holding, after, topped_up
from paper.venue.core.trade import Side, Trade

Cursor = tuple[int, int]  # timestamp_s, seq of the last row shown


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedRow:
    """A row as it was played. `fee` in micros of USDC, None when the row carries none."""

    seq: int
    lap: int
    trade: Trade
    market: Market
    wall_ms: int
    timestamp_s: int
    visible_ms: int
    taker: bool
    fee: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Filters of a listing; None does not filter. `start` and `end` are seconds, inclusive."""

    wallet: str | None = None
    conditions: frozenset[str] | None = None
    takers_only: bool = False
    side: Side | None = None
    start: int | None = None
    end: int | None = None
    before: Cursor | None = None

    def admits(self, row: PlayedRow) -> bool:
        """Return whether the listing shows the row."""
        return (
            self._admits(row.trade.wallet, row.trade.condition, row.timestamp_s, row.seq)
            and (row.taker or not self.takers_only)
            and (self.side is None or row.trade.side == self.side)
        )

    def admits_move(self, move: Move) -> bool:
        """Return whether the listing shows a movement; it has no side."""
        return self.side is None and self._admits(
            move.wallet, move.market.condition, move.timestamp_s, move.seq
        )

    def _admits(self, wallet: str, condition: str, timestamp_s: int, seq: int) -> bool:
        return (
            (self.wallet is None or wallet == self.wallet)
            and (self.conditions is None or condition in self.conditions)
            and (self.start is None or timestamp_s >= self.start)
            and (self.end is None or timestamp_s <= self.end)
            and (self.before is None or (timestamp_s, seq) < self.before)
        )


def listing(rows: Sequence[PlayedRow], query: Query, now_ms: int) -> list[PlayedRow]:
    """The visible rows that the query admits, newest first."""
    shown = [row for row in rows if row.visible_ms <= now_ms and query.admits(row)]
    return sorted(shown, key=lambda row: (row.timestamp_s, row.seq), reverse=True)


def holdings(
    start: Mapping[Holder, Holding], rows: Sequence[PlayedRow], wallet: str, now_ms: int
) -> dict[str, Holding]:
    """Return what `wallet` holds by asset, as far as the indexer has seen."""
    own = {holder: holding for holder, holding in start.items() if holder[0] == wallet}
    held, lap = dict(own), 0
    for row in rows:
        if row.visible_ms > now_ms or row.trade.wallet != wallet:
            continue
        if row.lap > lap:
            held, lap = topped_up(held, own), row.lap
        holder = (wallet, row.trade.asset)
        held[holder] = after(held.get(holder, Holding()), row.trade)
    return {asset: holding for (_, asset), holding in held.items()}
