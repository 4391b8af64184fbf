"""Leases for tests that are no process and renew nothing."""

from __future__ import annotations

from tradingtools.storage.postgres import lease
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool


async def held(pool: Pool, role: str) -> Lease:
    """A lease of partition 0 that does not run out, however slow the machine."""
    owned = await lease.acquire(pool, role, 0, "test")
    async with pool.connection() as connection:
        await connection.execute(
            "update partition_lease set expires_at = 'infinity' where role = %s", (role,)
        )
    return owned
