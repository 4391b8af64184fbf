"""Read what a resync is judged by: the leader's holdings, the follower's lots, books, money.

Control keeps the reported holdings of leaders; `resyncing` previews and executes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.router import store
from services.router.core.records import LotView
from services.router.core.resync import Outcome
from services.router.core.router_state import RouterState
from services.router.settings import Settings
from tradingtools import clock
from tradingtools.domain.resync import Line
from tradingtools.domain.subscription import Subscription
from tradingtools.runtime.books import Books
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "resync.sql")
MAX_LINES = 100
_LAG_MS = 15_000
"""A trade this shortly before the leader's holdings were reported may be missing in them."""

Row = Mapping[str, Any]


async def fetch(pool: Pool, name: str, **values: Any) -> list[dict[str, Any]]:
    """Return all rows of one named query about resyncs."""
    async with pool.connection() as connection:
        return await every(connection, name, **values)


async def every(connection: Connection, name: str, **values: Any) -> list[dict[str, Any]]:
    """Return all rows of one named query, in the caller's transaction."""
    cursor = await connection.execute(QUERIES[name], values)
    return await cursor.fetchall()


class Outcomes:
    """Reads what the resyncs of one partition are judged by.

    Args:
        pool: of the deciding database.
        lease: of the partition.
        books: newest books.
        settings: of the process.
        state: what the router knows.
        claim_lock: held by whoever claims.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        books: Books,
        settings: Settings,
        state: RouterState,
        claim_lock: asyncio.Lock,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._settings = settings
        self._state = state
        self._claim_lock = claim_lock

    async def leader_holdings(self, subscription: Subscription, resync_id: str) -> Row | None:
        """Return what was last reported of the leader's holdings; None: nothing."""
        found = await fetch(
            self._pool,
            "leader_holdings",
            leader=subscription.leader,
            id=resync_id,
            age_ms=self._settings.holding_age_ms,
        )
        return found[0] if found else None

    async def shown(self, subscription: Subscription, *, known: bool) -> tuple[list[Outcome], int]:
        """Return the outcomes that may have a line, and how many more there are."""
        rows = await fetch(self._pool, "resync_outcomes", **_of(subscription))
        shown = rows[:MAX_LINES]
        await asyncio.gather(*(self._books.get(row["asset_id"]) for row in shown))
        async with self._claim_lock:
            await self.build_rows()
            origin = [subscription.id]
            lots: dict[str, LotView] = {}
            for row in shown:
                asset = row["asset_id"]
                lots[asset] = _only(await store.lots_now(self._pool, asset, origin))
        return self._seen(subscription, rows, shown, lots, known=known), len(rows) - len(shown)

    def _seen(
        self,
        subscription: Subscription,
        rows: Sequence[Row],
        shown: Sequence[Row],
        lots: Mapping[str, LotView],
        *,
        known: bool,
    ) -> list[Outcome]:
        now_ms, found = clock.now_ms(), []
        for row in shown:
            asset = row["asset_id"]
            book = self._books.known(asset)
            condition = row["condition_id"] or (book.market.condition_id if book else "")
            both = any(
                other["leader_micros"]
                and other["condition_id"] == condition
                and other["asset_id"] != asset
                for other in rows
            )
            held = self._state.ledger.exposure(
                subscription, condition, asset, now_ms, leader_on_both=both
            )
            found.append(
                Outcome(
                    condition_id=condition,
                    asset_id=asset,
                    leader_micros=row["leader_micros"] if known and not row["moved"] else None,
                    lot=lots[asset],
                    cost_micros=row["cost_micros"],
                    book=book,
                    held=held,
                    leaving=self._leaving(subscription, asset),
                )
            )
        return found

    def _leaving(self, subscription: Subscription, asset_id: str) -> bool:
        sells = self._state.open_sells(subscription.leader, asset_id)
        return any(subscription.id in copies for copies in sells.values())

    async def build_rows(self) -> None:
        """Turn every claim into rows."""
        # Under the writing lock: a claim that is no rows yet would not be seen.
        await journal.build_open_rows(self._pool, self._lease.partition, older_than_seconds=None)

    async def locked(
        self,
        connection: Connection,
        subscription: Subscription,
        lines: Sequence[Line],
        *,
        known: bool,
    ) -> list[Outcome]:
        """Return the outcomes of a preview's orders; lock their lots until the transaction ends."""
        desired = {line.asset_id for line in lines if line.side is not None}
        rows = await every(connection, "resync_outcomes", **_of(subscription))
        there = {row["asset_id"]: row for row in rows}
        gone = {"leader_micros": 0, "cost_micros": 0, "moved": False}
        shown = [
            there.get(
                line.asset_id,
                {"asset_id": line.asset_id, "condition_id": line.condition_id, **gone},
            )
            for line in lines
            if line.asset_id in desired
        ]
        lots = {
            # In one order for everybody who locks several.
            asset: _only(await store.locked_lots(connection, asset, [subscription.id]))
            for asset in sorted(desired)
        }
        return self._seen(subscription, rows, shown, lots, known=known)


def _of(subscription: Subscription) -> dict[str, Any]:
    return {"leader": subscription.leader, "origin": subscription.id, "lag_ms": _LAG_MS}


def _only(lots: Mapping[str, LotView]) -> LotView:
    return next(iter(lots.values()), LotView(shares_micros=0, free_micros=0))
