"""Rebuilding the router's memory from PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from services.router import store
from services.router.core.exit_plan import slice_ended
from services.router.core.ledger import BUY_DAYS, Ledger, OpenEntry
from services.router.core.memory import Memory, PaperLot
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.leader_trade import Side
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_EVER_SECONDS = 10 * 365 * 86_400.0


async def recover(pool: Pool, partition: int, memory: Memory) -> None:
    """Take over what is durable; the index is loaded and every record has its rows already."""
    ledger = memory.ledger
    # Before what they become when they are booked: in between, both count, and never neither.
    for row in await store.fetch(pool, "open_entries", partition=partition):
        ledger.reserve(
            row["order_key"],
            OpenEntry(
                subscription_id=row["subscription_id"],
                proxy=row["follower_proxy"],
                condition_id=row["condition_id"],
                asset_id=row["asset_id"],
                copy_key=row["copy_key"],
                money_micros=row["money_micros"],
                day=row["day"],
            ),
        )
    for lot in await store.fetch(pool, "lots"):
        ledger.hold(
            lot["origin"],
            lot["follower_proxy"],
            lot["condition_id"],
            lot["asset_id"],
            lot["cost_micros"],
        )
    await read_cash(pool, ledger, ledger.funded_wallets())
    # After lots and reservations: of a booking up to here the present cost is read.
    memory.booked_to = (await store.fetch(pool, "booked_to"))[0]["seq"]
    await read_balances(pool, ledger, seconds=_EVER_SECONDS)
    await _recover_sums(pool, partition, memory)
    recent = {"seconds": store.RECENT_SECONDS, "partition": partition}
    memory.entry_owner = {
        row["copy_key"]: row["subscription_id"]
        for row in await store.fetch(pool, "recent_entry_keys", **recent)
    }
    memory.copies = await store.recent_copies(pool, memory.index.subscription)
    for trade in (await store.recent_trades(pool)).values():
        # Another partition may have judged it, and this one not yet.
        if trade.key in memory.copies:
            memory.know(trade)
    memory.entry_trade = {
        order_key: key
        for key, copies in memory.copies.items()
        for copy in copies.values()
        for order_key in copy.order_keys
        if ledger.is_open(order_key)
    }
    await _recover_awaited(pool, memory)
    progress = {row["order_key"]: row for row in await store.fetch(pool, "exit_progress", **recent)}
    for key, copies in memory.copies.items():
        if key.side is not Side.SELL or key not in memory.trades:
            continue
        for subscription_id, copy in copies.items():
            for row in [progress[k] for k in copy.order_keys if k in progress]:
                if row["ended"]:
                    copies[subscription_id] = slice_ended(
                        copies[subscription_id],
                        size_micros=row["size_micros"],
                        filled_micros=row["filled_size_micros"],
                        tried=row["tried"],
                        ended_ms=0,
                    )
                else:
                    memory.exit_trade[row["order_key"]] = key
        # Whether something is left is judged at once: it may have ended while nobody looked.
        memory.open_exits[key] = 0.0


async def _recover_awaited(pool: Pool, memory: Memory) -> None:
    """What sells still have to be applied to, and what has come while nobody looked."""
    memory.awaiting = {}
    waiting = [
        (key, copy)
        for key, copies in memory.copies.items()
        if key in memory.trades
        for copy in copies.values()
        if copy.awaited
    ]
    for key, copy in sorted(waiting, key=lambda found: memory.trades[found[0]].traded_ms):
        memory.note_awaited(key, copy)
    for row in await store.fetch(pool, "ended_of", keys=list(memory.awaiting)):
        memory.entry_ended(row["subscription_id"], row["order_key"], row["filled_size_micros"])


async def _recover_sums(pool: Pool, partition: int, memory: Memory) -> None:
    """What ended copies cost on their day, how often an outcome was bought, paper, accruals."""
    ledger = memory.ledger
    ledger.forget_ended()
    memory.paper.clear()
    memory.paper_cash.clear()
    for row in await store.fetch(pool, "ended_entries", partition=partition, days=BUY_DAYS):
        ledger.spent(row["subscription_id"], row["day"], row["money_micros"])
        ledger.bought(row["subscription_id"], row["asset_id"], row["copy_key"], row["day"])
    for row in await store.fetch(pool, "accrued"):
        ledger.accrue(row["subscription_id"], row["asset_id"], row["micros"])
    for row in await store.fetch(pool, "paper_buys", days=BUY_DAYS):
        ledger.spent(row["subscription_id"], row["day"], row["cost_micros"])
        ledger.bought(row["subscription_id"], row["asset_id"], row["leader_tx"], row["day"])
    for row in await store.fetch(pool, "paper_lots"):
        owner = memory.index.subscription(row["subscription_id"])
        if owner is not None:
            moved = PaperLot(size_micros=row["size_micros"], cost_micros=row["cost_micros"])
            memory.move_paper(
                owner, row["condition_id"], row["asset_id"], moved, row["paid_micros"]
            )


async def read_balances(
    pool: Pool, ledger: Ledger, *, proxies: Sequence[str] = (), seconds: float = 0
) -> None:
    """Read the cash of these wallets, and of those whose cash changed in the last seconds."""
    found = await store.fetch(pool, "balances", proxies=list(proxies), seconds=seconds)
    for row in found:
        ledger.wallet(row["follower_proxy"], row["cash_micros"])


async def read_cash(pool: Pool, ledger: Ledger, proxies: Sequence[str]) -> None:
    """Read what trading has moved of wallets' money; absolute, so that repeating is harmless."""
    if not proxies:
        return
    for row in await store.fetch(pool, "cash", proxies=list(proxies)):
        ledger.cash(row["follower_proxy"], row["moved_micros"])


async def hold_booked(pool: Pool, memory: Memory, fill: confirm_pb.FillEvent) -> None:
    """Keep what a lot costs. A booking that comes again, or late out of quarantine, tells what it
    cost then, and caps would let too much be bought: of such a one the present cost is read."""
    cost, seen = fill.lot_cost_micros, -1
    key = {"follower_proxy": fill.follower_proxy, "asset_id": fill.asset_id}
    # Read again when a newer one has come in between.
    while seen != memory.booked_to >= fill.fill_seq:
        seen = memory.booked_to
        rows = await store.fetch(pool, "lot_cost", **key, origin=fill.subscription_id)
        cost = rows[0]["cost_micros"]
    memory.booked_to = max(memory.booked_to, fill.fill_seq)
    memory.ledger.hold(
        fill.subscription_id, fill.follower_proxy, fill.condition_id, fill.asset_id, cost
    )
