"""Seal the events of all orders, in the background.

Each order has a hash chain of its own, so that no single chain serialises the money path. This ties
their heads together afterwards: who takes the end off one of them, or changes what its chain does
not cover, breaks a seal. Before it: whoever writes order events. After it: `tools.verify_audit`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "seals.sql")
_log = structlog.get_logger("confirm.sealer")
_PAGE = 2000
"""Events of one seal: what a verification holds in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Horizon:
    to_seq: int
    before_xid: int


class Sealer:
    """One sealer at a time: each seal checks confirm's lease.

    Args:
        pool: of the deciding database.
        lease: of confirm.
        pause_seconds: between two rounds.
    """

    def __init__(self, pool: Pool, lease: Lease, pause_seconds: float) -> None:
        self._pool = pool
        self._lease = lease
        self._pause = pause_seconds
        self._horizon: _Horizon | None = None
        self._behind = 0
        metrics.get_meter("tradingtools.confirm").create_observable_gauge(
            "audit_unsealed", [self._observe], description="order events without a seal, at most"
        )

    def _observe(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(self._behind)]

    async def run(self) -> None:
        """Seal for ever."""
        while True:
            try:
                await self.poll()
            except psycopg.OperationalError as error:
                _log.warning("events wait for their seal", error=str(error))
            await asyncio.sleep(self._pause)

    async def poll(self) -> None:
        """Seal what was settled since the last look; a long transaction only delays it.

        Raises:
            Fenced: somebody else is confirm now.
            psycopg.OperationalError: the database went away.
        """
        if self._horizon is not None and await self._is_settled(self._horizon):
            while await self._seal(self._horizon):
                pass
            self._horizon = None
        sealed = (await self._one("sealed"))["to_seq"]
        row = await self._one("horizon")
        self._behind = row["to_seq"] - sealed
        if self._horizon is None and self._behind:
            self._horizon = _Horizon(to_seq=row["to_seq"], before_xid=row["before_xid"])

    async def _is_settled(self, horizon: _Horizon) -> bool:
        row = await self._one("is_settled", before_xid=horizon.before_xid)
        return bool(row["settled"])

    async def _seal(self, horizon: _Horizon) -> bool:
        """Write one seal; False: nothing is left up to the horizon."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            cursor = await connection.execute(
                _QUERIES["append"], {"to_seq": horizon.to_seq, "limit": _PAGE}
            )
            row = await cursor.fetchone()
        if row is None:
            return False
        # In the log, too: who owns the database may rewrite every seal, but not what was printed.
        _log.info("sealed", seal=row["seal_seq"], to_event=row["to_seq"], events=row["events"],
                  hash=row["hash"])  # fmt: skip
        return True

    async def _one(self, name: str, **values: Any) -> dict[str, Any]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_QUERIES[name], values)
            row = await cursor.fetchone()
        if row is None:
            raise LookupError(f"{name}: no row")
        return row
