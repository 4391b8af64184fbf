"""Check that the partition of a wallet does not change while orders of it are under way.

It runs after the lease is taken and before recovery, which finds ended orders by their
subscription, whichever partition claimed them.
"""

from __future__ import annotations

from services.router import store
from tradingtools.domain import ids
from tradingtools.runtime.process import Startup
from tradingtools.storage.postgres.pool import Pool


async def check_partitioning(pool: Pool, partitions: int) -> None:
    """Make sure that whoever claimed what is under way is who answers for it now.

    Args:
        pool: of the deciding database.
        partitions: into how many the wallets are divided now.

    Raises:
        Startup: they were divided into another number when it was claimed.
    """
    open_wallets = await store.fetch(pool, "open_wallets")
    moved = [
        row
        for row in open_wallets
        if ids.partition_of(row["follower_proxy"], partitions) != row["partition"]
    ]
    if moved:
        raise Startup(
            f"TT_ROUTER_PARTITIONS: {partitions} is another number than before, and orders of"
            f" {len(moved)} wallets are under way; go on with the number of before until they"
            " have ended"
        )
