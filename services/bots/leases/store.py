"""The names of engines and the leases of wallets, as one process of an engine has them.

A process is an incarnation of its engine: two of one name share nothing. Whoever gives or takes a
wallet does it under one lock, by what the database says at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from services.bots.core import assignment
from services.bots.core.assignment import EngineSeat, Fleet, WalletLoad
from services.bots.store import Row, WalletLease
from tradingtools import clock
from tradingtools.storage.postgres.lease import agree
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

STANDING_MS = 5_000
"""Shorter than a lease; sound work stands for milliseconds between two statements."""
LEAVE_WAIT_MS = 2_000
"""How long who leaves waits for those that give and take wallets; it has 8 s for all."""
_QUERIES = load_queries(Path(__file__).parent / "queries.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A wallet that its owner is about to hand over to this process."""

    wallet_id: str
    epoch: int
    """Of its owner."""
    exchange: str
    environment: str
    instruments: Sequence[str]
    """Of its bots that run."""


class Leases:
    """See the module.

    Args:
        pool: of the deciding database.
        engine: the engine's name.
        incarnation: of this process, which no other has.
        lease_ms: for how long a name or a wallet is its own without a renewal.
    """

    def __init__(self, pool: Pool, engine: str, incarnation: str, lease_ms: int) -> None:
        self._pool = pool
        self._mine = {"name": engine, "incarnation": incarnation, "lease": lease_ms}
        self.ended_ns: dict[str, int] = {}
        """By wallet that was taken, when its former lease had ended, by the monotonic clock."""
        self.ran_out_ns: dict[str, int] = {}
        """The same, of those whose lease had run out: their owner did not give them back."""

    async def register(
        self, *, venues: Sequence[str], capacity: int, version: str, bots: int, lag_ms: int
    ) -> bool | None:
        """Say that this engine lives; return whether a person wants it to drain.

        None: another process has its name. Leases are judged by PostgreSQL's clock, so this process
        goes by it from here on.
        """
        requested_ns = clock.monotonic_ns()
        rows = await self._rows(
            "register",
            venues=list(venues),
            capacity=capacity,
            version=version,
            bots=bots,
            lag_ms=lag_ms,
        )
        if not rows:
            return None
        agree(rows[0]["now_ns"], requested_ns)
        return bool(rows[0]["draining"])

    async def end_standing(self) -> int:
        """End transactions of engines whose process stands still; return how many there were."""
        return len(await self._rows("end_standing", standing=STANDING_MS))

    async def leaving(self) -> None:
        """Say that this process is about to end: it is given no wallet any more.

        One that is being given to it at this moment is its own by then, unless who gives it stands
        still: its own quotes are not kept waiting for that.
        """
        async with self._pool.connection() as connection:
            try:
                async with connection.transaction():
                    await connection.execute(_QUERIES["lock_for_a_while"], {"wait": LEAVE_WAIT_MS})
                    await connection.execute(_QUERIES["lock"])
                    await connection.execute(_QUERIES["leaving"], self._mine)
            except LockNotAvailable:
                await connection.execute(_QUERIES["leaving"], self._mine)

    async def leave(self) -> None:
        """Give the engine's name back."""
        await self._do("leave")

    async def fleet(self) -> Fleet:
        """Return all engines that live, and the wallets that concern them."""
        async with self._pool.connection() as connection:
            return await _fleet(connection)

    async def take(self) -> list[str]:
        """Take this engine's part of the wallets that nobody has; return which."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["lock"])
            wallets = assignment.taken(str(self._mine["name"]), await _fleet(connection))
            values = {**self._mine, "wallets": wallets}
            ended = await (await connection.execute(_QUERIES["ended"], values)).fetchall()
            cursor = await connection.execute(_QUERIES["take"], values)
            taken = [row["wallet_id"] for row in await cursor.fetchall()]
            now_ns = clock.monotonic_ns()
            # Of the others, the owner has renewed its lease meanwhile.
            for row in ended:
                if row["wallet_id"] in taken:
                    self.ended_ns[row["wallet_id"]] = now_ns - row["ns"]
                    if row["ran_out"]:
                        self.ran_out_ns[row["wallet_id"]] = now_ns - row["ns"]
            return taken

    async def owned(self) -> dict[str, WalletLease]:
        """Return the wallets of this process, by id."""
        return _by_wallet(await self._rows("owned"))

    async def renew(self, wallets: Sequence[str]) -> dict[str, WalletLease]:
        """Keep wallets; one that is missing in the answer is lost."""
        return _by_wallet(await self._rows("renew", wallets=list(wallets)))

    async def offer(self, lease: WalletLease) -> str:
        """Have another engine prepare for a wallet; return its name, empty: none has room."""
        values = {"wallet": lease.wallet_id, "epoch": lease.epoch, **self._mine}
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["lock"])
            moves = assignment.moved(str(self._mine["name"]), await _fleet(connection))
            heir = moves.get(lease.wallet_id, "")
            await connection.execute(_QUERIES["offer"], {**values, "successor": heir})
        return heir

    async def offered(self) -> list[Offer]:
        """Return the wallets that this process is to prepare for."""
        return [Offer(**row) for row in await self._rows("offered")]

    async def ready(self, offer: Offer) -> None:
        """Say that this process can go on with a wallet at once."""
        await self._do("ready", wallet=offer.wallet_id, epoch=offer.epoch)

    async def heir_ready(self, lease: WalletLease) -> bool:
        """Return whether the heir of a wallet can go on at once."""
        rows = await self._rows("heir_ready", wallet=lease.wallet_id, epoch=lease.epoch)
        return bool(rows and rows[0]["heir_ready"])

    async def followed(self, lease: WalletLease) -> bool:
        """Return whether no bot of a wallet that was handed over waits to run at its new owner."""
        rows = await self._rows("followed", wallet=lease.wallet_id, epoch=lease.epoch)
        return bool(rows[0]["followed"])

    async def hand_over(self, lease: WalletLease, *, clean: bool, keeps: bool = False) -> str:
        """Give a wallet to the engine that has the most room; return its name.

        Empty: none has room, or it was lost already; it is given back then.

        Args:
            lease: of the wallet.
            clean: nothing is under way at its exchange.
            keeps: if no other has room, this engine goes on with it under a new epoch.
        """
        values = {
            **self._mine,
            "wallet": lease.wallet_id,
            "epoch": lease.epoch,
            "clean": clean,
        }
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["lock"])
            moves = assignment.moved(str(self._mine["name"]), await _fleet(connection))
            successor = moves.get(lease.wallet_id, str(self._mine["name"]) if keeps else "")
            if successor:
                cursor = await connection.execute(
                    _QUERIES["hand_over"], {**values, "successor": successor}
                )
                if await cursor.fetchone() is not None:
                    return successor
            await connection.execute(_QUERIES["give_back"], values)
        return ""

    async def wallet(self, wallet_id: str) -> Row:
        """Return a wallet: exchange, environment, account, and how its orders are signed."""
        return (await self._rows("wallet", wallet=wallet_id))[0]

    async def _do(self, query: str, /, **values: Any) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_QUERIES[query], {**self._mine, **values})

    async def _rows(self, query: str, /, **values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_QUERIES[query], {**self._mine, **values})
            return await cursor.fetchall()


async def _fleet(connection: AsyncConnection[Row]) -> Fleet:
    engines = await (await connection.execute(_QUERIES["engines"])).fetchall()
    wallets = await (await connection.execute(_QUERIES["wallets"])).fetchall()
    return Fleet(
        engines=[
            EngineSeat(
                name=row["name"],
                venues=frozenset(row["venues"]),
                capacity=row["capacity"],
                draining=row["draining"],
            )
            for row in engines
        ],
        wallets=[WalletLoad(**row) for row in wallets],
    )


def _by_wallet(rows: Sequence[Mapping[str, Any]]) -> dict[str, WalletLease]:
    return {row["wallet_id"]: WalletLease(**row) for row in rows}
