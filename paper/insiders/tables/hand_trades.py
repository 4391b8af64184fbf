"""Trades that owners of wallets made by hand, past the engine."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from paper.insiders.core.amounts import ONE, format_amount
from paper.insiders.core.model import Rejection, Side
from paper.insiders.tables import wallets
from paper.insiders.wire import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class HandTrade:
    """One trade of a wallet's owner; amounts in micros."""

    proxy: str
    asset_id: str
    condition_id: str
    side: Side
    size: int
    price: int
    """Of a share."""

    @property
    def notional(self) -> int:
        """Against the owner: rounded up when he buys."""
        product = self.size * self.price
        return -(-product // ONE) if self.side == "BUY" else product // ONE


def trade(db: sqlite3.Connection, made: HandTrade, *, default_cash: int, now_ms: int) -> None:
    """Move a wallet's cash and shares at once, and keep it.

    Raises Rejection when the wallet has too little of what goes out.
    """
    cash, mode = wallets.wallet(db, made.proxy, default_cash=default_cash)
    buying = made.side == "BUY"
    held = cash if buying else wallets.shares(db, made.proxy, made.asset_id)
    if held < (made.notional if buying else made.size):
        raise Rejection(400, "INSUFFICIENT_BALANCE", f"the wallet has {format_amount(held)}")
    moved = -made.notional if buying else made.notional
    wallets.put_wallet(db, made.proxy, cash=cash + moved, mode=mode)
    size = made.size if buying else -made.size
    wallets.move_shares(db, made.proxy, made.asset_id, made.condition_id, size)
    db.execute(
        "INSERT INTO hand_trades (proxy, asset_id, condition_id, side, size, notional, traded_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            made.proxy, made.asset_id, made.condition_id, made.side, made.size, made.notional,
            now_ms,
        ),
    )  # fmt: skip


def list_hand_trades(db: sqlite3.Connection) -> list[Json]:
    """All of them, oldest first, as the control port shows them."""
    rows = db.execute("SELECT * FROM hand_trades ORDER BY seq")
    return [
        {
            "followerProxy": row["proxy"],
            "assetId": row["asset_id"],
            "conditionId": row["condition_id"],
            "side": row["side"],
            "size": format_amount(row["size"]),
            "notional": format_amount(row["notional"]),
            "tradedMs": row["traded_ms"],
        }
        for row in rows
    ]
