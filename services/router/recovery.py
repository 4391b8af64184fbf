"""Rebuilding the router's memory from PostgreSQL."""

from __future__ import annotations

from services.router import store
from services.router.core import plan as planning
from services.router.core.ledger import OpenEntry
from services.router.core.memory import Memory
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.leader_trade import Side


async def recover(pool: Pool, partition: int, memory: Memory) -> None:
    """Fill an empty memory; the index is loaded and every record has its rows already."""
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
        if key.side is not Side.SELL:
            continue
        for subscription_id, copy in copies.items():
            memory.remember_exit(key, subscription_id, copy)
            known = [progress[k] for k in copy.order_keys if k in progress]
            gone = sum(row["size_micros"] - row["standing_micros"] for row in known)
            for row in known:
                if row["ended"]:
                    memory.exit_trade.pop(row["order_key"], None)
            copies[subscription_id] = planning.unsold(copy, gone, 0)
