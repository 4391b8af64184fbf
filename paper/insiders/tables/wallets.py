"""Cash, shares and what was taken from books, as rows; the exchange moves them with each fill."""

from __future__ import annotations

import sqlite3
from typing import cast

from paper.insiders.core.admission import WalletMode
from paper.insiders.core.matching import Take
from paper.insiders.core.model import Level, OrderRequest, Side


def wallet(db: sqlite3.Connection, proxy: str, *, default_cash: int) -> tuple[int, WalletMode]:
    """Cash in micros and mode of a wallet; one that was never seen has the default cash."""
    row = db.execute("SELECT cash, mode FROM wallets WHERE proxy = ?", (proxy,)).fetchone()
    return (default_cash, "open") if row is None else (row["cash"], cast(WalletMode, row["mode"]))


def put_wallet(db: sqlite3.Connection, proxy: str, *, cash: int, mode: WalletMode) -> None:
    """Create or replace a wallet."""
    db.execute(
        "INSERT INTO wallets VALUES (?, ?, ?)"
        " ON CONFLICT (proxy) DO UPDATE SET cash = excluded.cash, mode = excluded.mode",
        (proxy, cash, mode),
    )


def move_cash(db: sqlite3.Connection, proxy: str, micros: int) -> None:
    """Add to the cash of a wallet that exists."""
    db.execute("UPDATE wallets SET cash = cash + ? WHERE proxy = ?", (micros, proxy))


def move_shares(
    db: sqlite3.Connection, proxy: str, asset_id: str, condition_id: str, micros: int
) -> None:
    """Add to a position, which comes into being when it must."""
    db.execute(
        "INSERT INTO positions VALUES (?, ?, ?, ?)"
        " ON CONFLICT (proxy, asset_id) DO UPDATE SET size = size + excluded.size",
        (proxy, asset_id, condition_id, micros),
    )


def positions(db: sqlite3.Connection, proxy: str) -> list[tuple[str, str, int]]:
    """(asset id, condition id, micros of shares) of each position that is not zero."""
    rows = db.execute(
        "SELECT asset_id, condition_id, size FROM positions"
        " WHERE proxy = ? AND size <> 0 ORDER BY asset_id",
        (proxy,),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def shares(db: sqlite3.Connection, proxy: str, asset_id: str) -> int:
    """Micros of shares of one asset."""
    row = db.execute(
        "SELECT size FROM positions WHERE proxy = ? AND asset_id = ?", (proxy, asset_id)
    ).fetchone()
    return 0 if row is None else cast(int, row[0])


def reserved(db: sqlite3.Connection, request: OrderRequest, *, but_seq: int | None) -> int:
    """Micros that other waiting orders of the wallet hold: cash, or shares of the same asset."""
    row = db.execute(
        "SELECT coalesce(sum(reserved), 0) FROM orders WHERE proxy = ? AND status = 'ACCEPTED'"
        " AND side = ? AND (side = 'BUY' OR asset_id = ?) AND seq IS NOT ?",
        (request.proxy, request.side, request.asset_id, but_seq),
    ).fetchone()
    return cast(int, row[0])


def list_wallets(db: sqlite3.Connection) -> list[tuple[str, int, WalletMode]]:
    """(proxy, micros of cash, mode) of each wallet that was seen."""
    rows = db.execute("SELECT proxy, cash, mode FROM wallets ORDER BY proxy")
    return [(row[0], row[1], cast(WalletMode, row[2])) for row in rows]


def taken(db: sqlite3.Connection, asset_id: str, side: Side) -> dict[int, Take]:
    """Return what orders of that side took from each level, by price in micros."""
    rows = db.execute("SELECT * FROM taken WHERE asset_id = ? AND side = ?", (asset_id, side))
    return {
        row["price"]: Take(
            level=Level(
                price=row["price"], size=row["level_size"], changed_ms=row["level_changed_ms"]
            ),
            size=row["size"],
        )
        for row in rows
    }


def put_taken(db: sqlite3.Connection, asset_id: str, side: Side, memory: dict[int, Take]) -> None:
    """Replace the memory of one side of a book."""
    db.execute("DELETE FROM taken WHERE asset_id = ? AND side = ?", (asset_id, side))
    db.executemany(
        "INSERT INTO taken VALUES (?, ?, ?, ?, ?, ?)",
        [
            (asset_id, side, price, known.level.size, known.level.changed_ms, known.size)
            for price, known in memory.items()
        ],
    )
