"""Rebuilding the router's memory from PostgreSQL."""

from __future__ import annotations

from services.router import store
from services.router.core import plan as planning
from services.router.core.ledger import OpenEntry
from services.router.core.memory import Memory
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.leader_trade import Side


async def recover(pool: Pool, partition: int, memory: Memory) -> None:
    """Take over what is durable; the index is loaded and every record has its rows already."""
    ledger = memory.ledger
    for lot in await store.fetch(pool, "lots"):
        ledger.hold(lot["origin"], lot["condition_id"], lot["asset_id"], lot["cost_micros"])
    for row in await store.fetch(pool, "open_entries", partition=partition):
        ledger.reserve(
            row["order_key"],
            OpenEntry(
                subscription_id=row["subscription_id"],
                condition_id=row["condition_id"],
                asset_id=row["asset_id"],
                money_micros=row["money_micros"],
            ),
        )
    recent = {"seconds": store.RECENT_SECONDS, "partition": partition}
    memory.entry_owner = {
        row["copy_key"]: row["subscription_id"]
        for row in await store.fetch(pool, "recent_entry_keys", **recent)
    }
    memory.trades = await store.recent_trades(pool)
    memory.copies = await store.recent_copies(pool, ledger.subscription)
    progress = {row["order_key"]: row for row in await store.fetch(pool, "exit_progress", **recent)}
    for key, copies in memory.copies.items():
        if key.side is not Side.SELL or key not in memory.trades:
            continue
        for subscription_id, copy in copies.items():
            for row in [progress[k] for k in copy.order_keys if k in progress]:
                if row["ended"]:
                    copies[subscription_id] = planning.slice_ended(
                        copies[subscription_id],
                        size_micros=row["size_micros"],
                        filled_micros=row["filled_size_micros"],
                        tried=row["tried"],
                    )
                else:
                    memory.exit_trade[row["order_key"]] = key
        # Whether something is left is judged at once: it may have ended while nobody looked.
        memory.open_exits[key] = 0.0
