"""Users, sessions and what was done, as the contract has them."""

from __future__ import annotations

from collections.abc import Iterable

from services.control.messages import Fields, timestamp
from services.control.store import Row
from tradingtools.v1 import user_service_pb2 as pb


def user(row: Row) -> Fields:
    """Return a user's fields."""
    return {
        **{name: row[name] for name in ("id", "name", "disabled")},
        "role": role(row["role"]),
        "exchanges": row["exchanges"],
        **{name: timestamp(row[name]) for name in ("created_at", "changed_at")},
    }


def role(text: str) -> str:
    """Return a role as the contract spells it."""
    return f"ROLE_{text.upper()}"


def sessions(rows: Iterable[Row], current: str) -> list[pb.LoginSession]:
    """Return sessions.

    Args:
        rows: as they are stored.
        current: id of the caller's own.
    """
    return [
        pb.LoginSession(
            id=row["id"],
            address=row["address"],
            client=row["client"],
            created_at=timestamp(row["created_at"]),
            used_at=timestamp(row["used_at"]),
            expires_at=timestamp(row["expires_at"]),
            current=row["id"] == current,
        )
        for row in rows
    ]


def event(row: Row) -> Fields:
    """Return the fields of what was done."""
    found: Fields = {name: row[name] for name in ("user_id", "what", "actor", "address", "detail")}
    return found | {"occurred_at": timestamp(row["occurred_at"])}
