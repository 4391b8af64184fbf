"""Put the rows of a leader's transactions together to trades. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.enrichment.core.values import Activity
from tradingtools.venues.ports import Side


@dataclass(slots=True)
class Trade:
    """Everything of one transaction with one outcome and side."""

    tx: str
    condition_id: str
    asset_id: str
    side: Side
    at_ms: int
    size_micros: int = 0
    notional_micros: int = 0
    maker_micros: int = 0
    taker_micros: int = 0


def trades_of(rows: Iterable[Activity]) -> list[Trade]:
    """Return the trades of rows in the order in which each began; other rows are passed over."""
    found: dict[tuple[str, str, Side], Trade] = {}
    for row in rows:
        if row.action != "TRADE":
            continue
        key = (row.tx, row.asset_id, row.side)
        trade = found.get(key)
        if trade is None:
            trade = found[key] = Trade(row.tx, row.condition_id, row.asset_id, row.side, row.at_ms)
        trade.size_micros += row.size_micros
        trade.notional_micros += row.notional_micros
        if row.maker is not None:
            trade.maker_micros += row.notional_micros if row.maker else 0
            trade.taker_micros += 0 if row.maker else row.notional_micros
    return list(found.values())
