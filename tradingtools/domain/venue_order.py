"""An order as insiders-api tells of it. Amounts in micros, cumulative over standing trades."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TradeStatus(StrEnum):
    """Where the settlement of a trade stands (Polymarket's life cycle)."""

    MATCHED = "MATCHED"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """One trade of an order."""

    trade_id: str
    size_micros: int
    notional_micros: int
    fee_micros: int
    status: TradeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as insiders-api knows it under one key."""

    order_key: str
    order_id: str
    """Empty for a voided key."""
    status: str
    closed: bool
    """No more fills can come."""
    trades: tuple[VenueTrade, ...] = ()
    side: str = ""
    """BUY or SELL; this and the next three are empty or None where the answer leaves them out."""
    asset_id: str = ""
    follower_proxy: str = ""
    size_micros: int | None = None
    """What was ordered."""

    @property
    def voided(self) -> bool:
        """Return whether the key was declared unusable before anything was accepted under it."""
        return self.status == "VOIDED"
