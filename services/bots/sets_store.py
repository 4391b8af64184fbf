"""Changes of sets of outcomes in PostgreSQL: written before they are sent, ended once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.venues.outcome_sets import SetAction, SetChange

_SQL = load_queries(Path(__file__).parent / "sets.sql")
Check = Callable[[Any, Any], Awaitable[bool]]
"""Raises LostError inside a transaction: the wallet is another engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """A change that has not ended."""

    change_id: str
    bot_id: str
    """Empty: of the wallet; bots have booked it before."""
    action: SetAction
    instrument_id: str
    complement_id: str
    """The other outcome; empty: one is enough."""
    size: int
    nonce: int
    deadline_ms: int
    sent: int = 0


class SetsStore:
    """The table as one engine reads and writes it.

    Args:
        pool: of the deciding database.
        check: that a lease still holds.
    """

    def __init__(self, pool: Pool, check: Check) -> None:
        self._pool = pool
        self._check = check

    async def pending(self, wallet_id: str) -> SetRow | None:
        """Return the change of a wallet that has not ended; None: there is none."""
        rows = await self._rows("pending", wallet=wallet_id)
        if not rows:
            return None
        (row,) = rows
        return SetRow(
            change_id=row["id"],
            bot_id=row["bot_id"] or "",
            action=SetAction(row["action"]),
            instrument_id=row["instrument_id"],
            complement_id=row["complement_id"],
            size=row["size"],
            nonce=row["nonce"],
            deadline_ms=row["deadline_ms"],
            sent=row["sent"],
        )

    async def failed(self, wallet_id: str, action: SetAction, seconds: int) -> set[str]:
        """Return the instruments of which a change has failed so lately."""
        rows = await self._rows("failed", wallet=wallet_id, action=action, seconds=seconds)
        return {row["instrument_id"] for row in rows}

    async def begin(self, lease: Any, row: SetRow) -> None:
        """Write a change down, before it is sent. Raises LostError."""
        values = {
            "id": row.change_id,
            "wallet": lease.wallet_id,
            "bot": row.bot_id or None,
            "action": row.action,
            "instrument": row.instrument_id,
            "complement": row.complement_id,
            "size": row.size,
            "nonce": row.nonce,
            "deadline_ms": row.deadline_ms,
        }
        await self._written(lease, "begin", values)

    async def sending(self, lease: Any, change: SetChange) -> None:
        """Count a sending, before it leaves. Raises LostError."""
        await self._written(lease, "sent", {"id": change.change_id})

    async def end(self, lease: Any, change_id: str, *, done: bool, detail: str = "") -> None:
        """Note that a change is made and booked, or never will be. Raises LostError."""
        state = "DONE" if done else "FAILED"
        await self._written(lease, "end", {"id": change_id, "state": state, "detail": detail})

    async def is_booked(self, venue: str, order_id: str, trade_id: str) -> bool:
        """Return whether a part of a merge is among the fills."""
        rows = await self._rows("is_booked", venue=venue, order_id=order_id, trade=trade_id)
        return bool(rows[0]["booked"])

    async def _written(self, lease: Any, query: str, values: dict[str, Any]) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            await connection.execute(_SQL[query], values)

    async def _rows(self, query: str, /, **values: Any) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL[query], values)
            return await cursor.fetchall()
