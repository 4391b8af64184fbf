"""Reads and writes of ingest in PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.venues.ports import Position

_SQL = load_queries(Path(__file__).with_name("queries.sql"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A sample of what was refused: from where, why, its beginning, and its whole length."""

    source: str
    reason: str
    sample: bytes
    bytes_total: int


class Store:
    """Every method raises psycopg.Error or psycopg_pool.PoolTimeout when the database is away."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def leaders(self) -> frozenset[str]:
        """Return wallets whose trades matter, in lower case."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["leaders"])
            return frozenset(row["leader"] for row in await cursor.fetchall())

    async def control_seq(self) -> int:
        """Return the number of the newest control change; 0: none yet."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_SQL["control_seq"])).fetchone()
        return int(row["seq"]) if row else 0

    async def last_traded(self, leaders: Sequence[str]) -> dict[str, int]:
        """Return when each leader's newest known trade was, or the last survey if that was before
        it, milliseconds; unknown ones are absent."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["last_traded"], (list(leaders),))
            return {row["leader"]: row["traded_ms"] for row in await cursor.fetchall()}

    async def assets(self, leader: str, conditions: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return assets by condition that the leader has traded or that his followers hold."""
        values = {"leader": leader, "conditions": list(conditions)}
        found: dict[str, set[str]] = {}
        async with self._pool.connection() as connection:
            for row in await (await connection.execute(_SQL["assets"], values)).fetchall():
                found.setdefault(row["condition_id"], set()).add(row["asset_id"])
        return {condition: frozenset(assets) for condition, assets in found.items()}

    async def keep_account(
        self, leader: str, equity: int | None, positions: Mapping[str, Position]
    ) -> None:
        """Replace what is known of a leader's holdings; equity in 1e-6 USDC, None: unknown."""
        held = {asset: one for asset, one in positions.items() if one.size_micros}
        values = {
            "leader": leader,
            "equity": equity,
            "assets": list(held),
            "conditions": [one.condition_id for one in held.values()],
            "shares": [one.size_micros for one in held.values()],
        }
        async with self._pool.connection() as connection, connection.transaction():
            for name in ("keep_account", "drop_holdings", "keep_holdings"):
                await connection.execute(_SQL[name], values)

    async def log_key(self) -> bytes:
        """Return the key of the log of leader trades: made once, kept where Redis's neighbours are
        not."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["make_log_key"], (secrets.token_hex(32),))
            row = await (await connection.execute(_SQL["log_key"])).fetchone()
        assert row is not None  # noqa: S101 - written just above, or before
        return bytes.fromhex(row["value"])

    async def identify(self, incarnation: str) -> None:
        """Remember which life of the log in Redis is the present one."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["identify"], (incarnation,))

    async def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keep samples."""
        columns = (
            [one.source for one in rejected],
            [one.reason for one in rejected],
            [one.sample for one in rejected],
            [one.bytes_total for one in rejected],
        )
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["reject"], columns)

    async def acknowledge(self, consumer: str, cursor: str) -> None:
        """Move a named reader's cursor forward; backward changes nothing."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["acknowledge"], {"consumer": consumer, "cursor": cursor})
