"""Rebuilding the router's memory from PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection

from services.router import store
from services.router.core.exit_plan import Slice, with_slices
from services.router.core.ledger import BUY_DAYS, DAY_MS, OpenEntry
from services.router.core.router_state import PaperLot, RouterState
from services.router.ledger_sync import LedgerSync
from tradingtools import clock
from tradingtools.domain.leader_trade import Side, TradeKey
from tradingtools.storage.postgres.pool import Pool


async def recover(pool: Pool, partition: int, state: RouterState, ledger_sync: LedgerSync) -> None:
    """Take over what is durable; the index is loaded and every record has its rows already."""
    ledger = state.ledger
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
    await ledger_sync.take_over()
    await _recover_sums(pool, state)
    recent = await store.fetch(pool, "recent_entry_keys", seconds=store.RECENT_SECONDS)
    state.entry_owner = {
        row["copy_key"]: row["subscription_id"]
        for row in recent
        if state.index.subscription(row["subscription_id"]) is not None
    }
    copies = await store.recent_copies(pool, state.index)
    await _take_over(pool, partition, state, copies, anew=True)
    await _recover_awaited(pool, state)


async def restore(
    pool: Pool, partition: int, state: RouterState, keys: Collection[TradeKey]
) -> None:
    """Take over what was decided about leader trades that are forgotten."""
    copies = await store.copies_of(pool, keys, state.index)
    await _take_over(pool, partition, state, copies)


async def _take_over(
    pool: Pool, partition: int, state: RouterState, copies: store.Copies, *, anew: bool = False
) -> None:
    """Read leader trades and what became of them; ``anew``: forget all others."""
    trades = await store.trades_of(pool, partition, copies)
    exits = [key for key in copies if key.side is Side.SELL and key in trades]
    slices = [order for key in exits for copy in copies[key].values() for order in copy.order_keys]
    rows = await store.fetch(pool, "exit_progress", keys=slices)
    progress = {row.pop("order_key"): Slice(**row) for row in rows}
    if anew:
        state.forget_copies()
    for key in exits:
        for subscription_id, copy in copies[key].items():
            of_copy = {order: progress[order] for order in copy.order_keys if order in progress}
            copies[key][subscription_id] = with_slices(copy, of_copy.values())
            for order_key in (o for o, made in of_copy.items() if not made.ended):
                state.slice_claimed(order_key, key, subscription_id)
        # Whether something is left is judged at once: it may have ended while nobody looked.
        state.open_exits[key] = 0.0
    for key, of_trade in copies.items():
        for subscription_id, copy in of_trade.items():
            state.put_copy(key, subscription_id, copy)
    for trade in trades.values():
        state.know(trade)
    state.entry_trade.update(
        (order_key, key)
        for key, of_trade in copies.items()
        for copy in of_trade.values()
        for order_key in copy.order_keys
        if state.ledger.is_open(order_key)
    )


async def _recover_awaited(pool: Pool, state: RouterState) -> None:
    """Find what open sells still apply to, and what was filled meanwhile."""
    state.awaiting = {}
    waiting = [
        (key, copy)
        for key, copies in state.copies.items()
        if key in state.trades
        for copy in copies.values()
        if copy.awaited
    ]
    for key, copy in sorted(waiting, key=lambda found: state.trades[found[0]].traded_ms):
        state.note_awaited(key, copy)
    for row in await store.fetch(pool, "ended_of", keys=list(state.awaiting)):
        state.entry_ended(row["subscription_id"], row["order_key"], row["filled_size_micros"])


async def _recover_ended(pool: Pool, state: RouterState) -> None:
    """Sum what ended entries cost today, and how many copies they have bought."""
    ledger = state.ledger
    # One whose end is not reported yet counts as open.
    ended = {
        "subscriptions": state.index.ids(),
        "open": list(ledger.open_orders()),
    }
    today = clock.now_ms() // DAY_MS
    for row in await store.fetch(pool, "spent_by_ended", **ended, day=today):
        ledger.spent(row["subscription_id"], row["day"], row["money_micros"])
    for row in await store.fetch(
        pool,
        "bought_by_ended",
        **ended,
        open_copies=[entry.copy_key for entry in ledger.open_orders().values()],
        days=BUY_DAYS,
        # A leader trade of so long ago grows no more.
        seconds=2 * store.RECENT_SECONDS,
    ):
        ledger.bought(
            row["subscription_id"], row["asset_id"], row["copy_key"], row["day"], row["number"]
        )


async def _recover_sums(pool: Pool, state: RouterState) -> None:
    """Sum ended copies: cost of their day, buys of an outcome, paper lots, accruals."""
    ledger = state.ledger
    ledger.forget_ended()
    state.paper.clear()
    state.paper_cash.clear()
    await _recover_ended(pool, state)
    for row in await store.fetch(pool, "accrued"):
        ledger.accrue(row["subscription_id"], row["asset_id"], row["micros"])
    for row in await store.fetch(pool, "paper_buys", days=BUY_DAYS):
        ledger.spent(row["subscription_id"], row["day"], row["cost_micros"])
        ledger.bought(row["subscription_id"], row["asset_id"], row["leader_tx"], row["day"])
    for row in await store.fetch(pool, "paper_lots"):
        owner = state.index.subscription(row["subscription_id"])
        if owner is not None:
            moved = PaperLot(size_micros=row["size_micros"], cost_micros=row["cost_micros"])
            state.move_paper(owner, row["condition_id"], row["asset_id"], moved, row["paid_micros"])
