"""Voided keys and redemptions, as rows; looked up before a request with a key is judged."""

from __future__ import annotations

import sqlite3
from typing import cast

from paper.insiders.core.model import Redemption


def is_voided(db: sqlite3.Connection, key: str) -> bool:
    """Return whether a key was voided."""
    return db.execute("SELECT 1 FROM voids WHERE key = ?", (key,)).fetchone() is not None


def insert_void(db: sqlite3.Connection, key: str, *, now_ms: int) -> None:
    """Void a key; a second time changes nothing."""
    db.execute("INSERT INTO voids VALUES (?, ?) ON CONFLICT DO NOTHING", (key, now_ms))


def insert_redemption(db: sqlite3.Connection, done: Redemption, *, now_ms: int) -> None:
    """Write a redemption."""
    db.execute(
        "INSERT INTO redemptions VALUES (NULL, ?, ?, ?, ?, ?, ?)",
        (done.key, done.body_sha256, done.proxy, done.condition_id, done.payout, now_ms),
    )


def redemption_by_key(db: sqlite3.Connection, key: str) -> Redemption | None:
    """The first redemption with a key."""
    row = db.execute(
        "SELECT * FROM redemptions WHERE key = ? ORDER BY seq LIMIT 1", (key,)
    ).fetchone()
    return None if row is None else _redemption(row)


def list_redemptions(db: sqlite3.Connection) -> list[Redemption]:
    """All redemptions."""
    rows = db.execute("SELECT * FROM redemptions ORDER BY seq").fetchall()
    return [_redemption(row) for row in rows]


def _redemption(row: sqlite3.Row) -> Redemption:
    return Redemption(
        key=row["key"],
        body_sha256=row["body_sha256"],
        proxy=row["proxy"],
        condition_id=row["condition_id"],
        payout=row["payout"],
    )


def count_voids(db: sqlite3.Connection) -> int:
    """Return how many keys were voided."""
    return cast(int, db.execute("SELECT count(*) FROM voids").fetchone()[0])
