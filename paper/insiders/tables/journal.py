"""The journal of all that was asked, and what the control port was told, as rows.

Tests and invariants judge the engine by this journal, so a request is written when it arrives,
its acceptance in the transaction that accepts it, and its answer before the answer leaves.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """A request as it arrived; instants in ns since the epoch."""

    journal_id: int
    arrived_ns: int
    method: str
    path: str
    key: str | None
    body_sha256: str
    body: str
    ledger: bool | None
    """What the engine's own database said of the key and hash; None: it was not asked."""
    fault: str
    """The faults planned for it; empty without one."""


def last_id(db: sqlite3.Connection) -> int:
    """The greatest id so far, 0 at first."""
    return cast(int, db.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()[0])


def insert_requested(db: sqlite3.Connection, requested: RequestRecord) -> None:
    """Write a request."""
    db.execute(
        "INSERT INTO journal (id, arrived_ns, method, path, key, body_sha256, body, ledger, fault)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            requested.journal_id,
            requested.arrived_ns,
            requested.method,
            requested.path,
            requested.key,
            requested.body_sha256,
            requested.body,
            requested.ledger,
            requested.fault,
        ),
    )


def note_order(db: sqlite3.Connection, journal_id: int, order_id: str, *, accepted: bool) -> None:
    """Tie a request to its order; `accepted` when this very request created it."""
    db.execute(
        "UPDATE journal SET order_id = ?, accepted = ? WHERE id = ?",
        (order_id, accepted, journal_id),
    )


def note_answer(
    db: sqlite3.Connection, journal_id: int, *, status: int, code: str | None, answered_ns: int
) -> None:
    """Write what is about to be answered."""
    db.execute(
        "UPDATE journal SET status = ?, code = ?, answered_ns = ? WHERE id = ?",
        (status, code, answered_ns, journal_id),
    )


def page(db: sqlite3.Connection, *, after: int, limit: int) -> list[dict[str, object]]:
    """Entries with an id above `after`, in order, as the control port shows them."""
    rows = db.execute("SELECT * FROM journal WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return [
        {
            "id": row["id"],
            "arrivedNs": row["arrived_ns"],
            "method": row["method"],
            "path": row["path"],
            "key": row["key"],
            "bodySha256": row["body_sha256"],
            "body": row["body"],
            "ledger": None if row["ledger"] is None else bool(row["ledger"]),
            "fault": row["fault"],
            "accepted": bool(row["accepted"]),
            "orderId": row["order_id"],
            "status": row["status"],
            "code": row["code"],
            "answeredNs": row["answered_ns"],
        }
        for row in rows
    ]


def put_control(db: sqlite3.Connection, name: str, value: str | None) -> None:
    """Remember (or with None forget) what the control port was told under a name."""
    if value is None:
        db.execute("DELETE FROM control WHERE name = ?", (name,))
        return
    db.execute(
        "INSERT INTO control VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def all_control(db: sqlite3.Connection) -> dict[str, str]:
    """Everything the control port was told, JSON by name."""
    return {row[0]: row[1] for row in db.execute("SELECT name, value FROM control")}


def count(db: sqlite3.Connection) -> int:
    """Return how many requests were written."""
    return cast(int, db.execute("SELECT count(*) FROM journal").fetchone()[0])
