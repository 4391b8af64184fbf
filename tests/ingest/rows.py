"""Rows of trades for tests of the merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tradingtools.venues.ports import TradeRow

LEADER = "0x" + "a1" * 20
ROW = TradeRow(
    tx="0x" + "00" * 32,
    leader=LEADER,
    asset_id="7",
    condition_id="0x" + "cd" * 32,
    side="BUY",
    price_text="0.5",
    price_micros=500_000,
    size_micros=10_000_000,
    traded_ms=1_000_000_000,
    title="Will it?",
    outcome="Yes",
)


def row(tx: int = 1, **changes: Any) -> TradeRow:
    """A row of transaction ``tx``; shares in whole numbers by ``size``."""
    if "size" in changes:
        changes["size_micros"] = changes.pop("size") * 1_000_000
    return replace(ROW, tx=f"0x{tx:064x}", **changes)
