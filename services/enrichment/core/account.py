"""Book what a leader did, first in, first out, as followers' lots are. Pure and exact to the micro.

Outcomes come from resolutions alone: winners are redeemed and losers never are, so that
redemptions are no evidence. They are passed over, and so is what is sold or merged after the
resolution, which has closed it. A merge gets each outcome its part of the dollar, a split costs it:
two sides of one wallet are a hedge and no loss. A conversion has no price: its shares leave at
their cost, and the result of its market is in doubt. What is sold beyond what the record has seen
bought has no cost: it is in no profit, and told apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from services.enrichment.core.values import Activity, Market
from tradingtools.domain.money import notional_floor


class Closing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Shares that left together: sold, merged, resolved."""

    at_ms: int
    condition_id: str
    size_micros: int
    cost_micros: int
    proceeds_micros: int
    held_ms: tuple[tuple[int, int], ...]
    """How long each of its shares was held, and how many were."""

    @property
    def profit_micros(self) -> int:
        """Return what it gained, before fees."""
        return self.proceeds_micros - self.cost_micros


@dataclass(slots=True)
class _Entry:
    at_ms: int
    size_micros: int
    cost_micros: int


@dataclass(slots=True)
class _Position:
    condition_id: str
    entries: deque[_Entry] = field(default_factory=deque)

    def taken(self, size_micros: int, at_ms: int) -> tuple[int, int, tuple[tuple[int, int], ...]]:
        """Shares that were found, what they had cost, and how long each was held."""
        left, cost, held = size_micros, 0, []
        while left and self.entries:
            entry = self.entries[0]
            size = min(entry.size_micros, left)
            part = entry.cost_micros * size // entry.size_micros
            held.append((max(0, at_ms - entry.at_ms), size))
            left -= size
            cost += part
            entry.size_micros -= size
            entry.cost_micros -= part
            if not entry.size_micros:
                self.entries.popleft()
        return size_micros - left, cost, tuple(held)


class Holding(msgspec.Struct, frozen=True, gc=False):
    """Shares of one outcome and their cost."""

    condition_id: str
    asset_id: str
    shares_micros: int
    cost_micros: int


class Account:
    """A leader's account. Rows come in the order of their instants."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._markets = markets
        self._positions: dict[str, _Position] = {}
        self.closings: list[Closing] = []
        self.open_cost_micros = 0
        self.unknown_cost_micros = 0
        """USDC that he got for shares without a known cost."""
        self.in_doubt: set[str] = set()
        """Conditions whose result is not known whole."""

    def book(self, row: Activity) -> None:
        """Book one row."""
        market = self._markets.get(row.condition_id)
        resolved_ms = market.resolved_ms if market else None
        closed = resolved_ms is not None and resolved_ms < row.at_ms
        if row.action == "REDEEM" or (closed and row.side == "SELL"):
            return
        for asset_id, size, price_notional in self._legs(row):
            if row.side == "BUY":
                self._buy(row, asset_id, size, price_notional)
            else:
                self._sell(row, asset_id, size, price_notional)
            self._close_if_resolved(row.condition_id, row.at_ms)

    def resolve(self, market: Market, at_ms: int) -> None:
        """Close what is held of a market at its payouts."""
        for asset_id, payout in zip(market.asset_ids, market.payout_micros, strict=True):
            position = self._positions.get(asset_id)
            held = sum(entry.size_micros for entry in position.entries) if position else 0
            if held:
                paid = notional_floor(held, payout)
                self._close(market.condition_id, asset_id, held, paid, at_ms)

    def holdings(self) -> list[Holding]:
        """Return what is held now."""
        return [
            Holding(
                position.condition_id,
                asset_id,
                sum(entry.size_micros for entry in position.entries),
                sum(entry.cost_micros for entry in position.entries),
            )
            for asset_id, position in self._positions.items()
            if position.entries
        ]

    def _legs(self, row: Activity) -> Iterable[tuple[str, int, int]]:
        """Each outcome that a row moves, with its shares and what they fetched or cost."""
        if row.action == "TRADE":
            return [(row.asset_id, row.size_micros, row.notional_micros)]
        market = self._markets.get(row.condition_id)
        outcomes: Sequence[str] = market.asset_ids if market else ()
        if row.action == "CONVERSION" or not outcomes:
            self.in_doubt.add(row.condition_id)
            return [(row.asset_id, row.size_micros, 0)] if row.asset_id else []
        each, rest = divmod(row.size_micros, len(outcomes))
        parts = {asset_id: each + (number < rest) for number, asset_id in enumerate(outcomes)}
        return [
            (asset_id, row.size_micros, part)
            for asset_id, part in parts.items()
            if row.asset_id in ("", asset_id)
        ]

    def _buy(self, row: Activity, asset_id: str, size: int, cost: int) -> None:
        position = self._positions.setdefault(asset_id, _Position(row.condition_id))
        position.entries.append(_Entry(row.at_ms, size, cost))
        self.open_cost_micros += cost

    def _sell(self, row: Activity, asset_id: str, size: int, proceeds: int) -> None:
        if row.action == "CONVERSION":
            position = self._positions.get(asset_id)
            if position:
                self.open_cost_micros -= position.taken(size, row.at_ms)[1]
            return
        self._close(row.condition_id, asset_id, size, proceeds, row.at_ms)

    def _close(
        self, condition_id: str, asset_id: str, size: int, proceeds: int, at_ms: int
    ) -> None:
        position = self._positions.get(asset_id)
        found, cost, held = position.taken(size, at_ms) if position else (0, 0, ())
        known = proceeds * found // size
        if found < size:
            self.unknown_cost_micros += proceeds - known
            self.in_doubt.add(condition_id)
        if found:
            self.open_cost_micros -= cost
            self.closings.append(
                Closing(
                    at_ms=at_ms,
                    condition_id=condition_id,
                    size_micros=found,
                    cost_micros=cost,
                    proceeds_micros=known,
                    held_ms=held,
                )
            )

    def _close_if_resolved(self, condition_id: str, at_ms: int) -> None:
        market = self._markets.get(condition_id)
        if market and market.resolved_ms is not None and market.resolved_ms <= at_ms:
            self.resolve(market, at_ms)
