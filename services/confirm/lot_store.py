"""Fills and lots in PostgreSQL, inside a transaction that somebody else has begun.

Before it: `store`, which has locked the order. Each step is one trade of one order; its lot is
locked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow

from services.confirm.core import lots
from services.confirm.core.booking import Action, FillStatus, Step
from services.confirm.guards import guard_position
from tradingtools.adapters import clock
from tradingtools.adapters.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_log = structlog.get_logger("confirm.lots")
Connection = psycopg.AsyncConnection[DictRow]


async def every(connection: Connection, name: str, values: Mapping[str, Any]) -> list[DictRow]:
    """All rows of one named query."""
    cursor = await connection.execute(QUERIES[name], values)
    return await cursor.fetchall()


async def one(connection: Connection, name: str, values: Mapping[str, Any]) -> DictRow:
    """The only row of one named query; raises LookupError when there is not exactly one."""
    rows = await every(connection, name, values)
    if len(rows) != 1:
        raise LookupError(f"{name}: expected one row, got {len(rows)}")
    return rows[0]


def lot_key(order: Mapping[str, Any]) -> dict[str, Any]:
    """Which lot an order moves."""
    return {
        "follower_proxy": order["follower_proxy"],
        "asset_id": order["asset_id"],
        "origin": order["subscription_id"] or "manual",
    }


async def lock_lot(connection: Connection, order: Mapping[str, Any]) -> None:
    """Make sure that the lot is there, and hold it."""
    key = lot_key(order)
    await connection.execute(QUERIES["make_lot"], {**key, "condition_id": order["condition_id"]})
    await connection.execute(QUERIES["lock_lot"], key)


async def take(
    connection: Connection, order: Mapping[str, Any], step: Step, costs: dict[str, int]
) -> None:
    """Book one step of a trade; ``costs`` has what the shares of each booked sale had cost."""
    trade = step.trade
    cost = realised = 0
    if step.action in (Action.BOOK, Action.UNDO):
        cost, realised = await _move(connection, order, step, costs.get(trade.trade_id, 0))
    if step.action in (Action.BOOK, Action.NOTE):
        await connection.execute(
            QUERIES["add_fill"],
            {
                "order_key": order["order_key"],
                "trade_id": trade.trade_id,
                "size_micros": trade.size_micros,
                "notional_micros": trade.notional_micros,
                "fee_micros": trade.fee_micros,
                "cost_micros": cost,
            },
        )
        costs[trade.trade_id] = cost
    if step.action is not Action.BOOK:
        status = FillStatus.CONFIRMED if step.action is Action.FINALISE else FillStatus.FAILED
        await connection.execute(
            QUERIES["end_fill"],
            {"order_key": order["order_key"], "trade_id": trade.trade_id, "status": status},
        )
    if step.action is not Action.NOTE:
        await _note(connection, order, step, realised)


async def _move(
    connection: Connection, order: Mapping[str, Any], step: Step, cost: int
) -> tuple[int, int]:
    """Move the lot by a trade that is booked or undone.

    Args:
        connection: in the transaction that holds the lot.
        order: the row.
        step: the trade, and whether it comes or goes.
        cost: of an undone sale: what its shares had cost.

    Returns:
        What the shares of a sale had cost, and the change of the realised profit.
    """
    trade, key = step.trade, lot_key(order)
    buying, sign = order["side"] == "BUY", 1 if step.action is Action.BOOK else -1
    lot = await one(connection, "lock_lot", key)
    net = lot["bought_size_micros"] - lot["sold_size_micros"] - lot["resolved_size_micros"]
    change = lots.shift(
        lot["shares_micros"], net, sign * trade.size_micros * (1 if buying else -1)
    )  # fmt: skip
    if change > 0:
        moved = (trade.notional_micros if buying else cost) * change // trade.size_micros
        await _add_entry(connection, order, step, change, moved)
    else:
        moved = -await _take_out(connection, order, step, -change)
        if step.action is Action.BOOK and -change < trade.size_micros:
            _log.error("sold more than the lot held", order=order["order_key"], **key)
    notional = sign * trade.notional_micros
    # Profit is what sales brought, less what buys cost, plus what the shares still held had cost.
    realised = moved - notional if buying else moved + notional
    way = "bought" if buying else "sold"
    held = await move_lot(
        connection, key, shares=change, cost=moved, fee=sign * trade.fee_micros,
        realised=realised,
        **{f"{way}_size": sign * trade.size_micros, f"{way}_notional": notional},
    )  # fmt: skip
    if buying and step.action is Action.BOOK and 0 < held == change:
        await guard_position(connection, QUERIES, order, trade, clock.now_ms())
    return -moved if not buying else 0, realised


async def _add_entry(
    connection: Connection, order: Mapping[str, Any], step: Step, size: int, cost: int
) -> None:
    """Shares that came: bought, or back from a sale that was undone."""
    trade_id = step.trade.trade_id
    await connection.execute(
        QUERIES["add_entry"],
        {
            **lot_key(order),
            "order_key": order["order_key"],
            "trade_id": trade_id if step.action is Action.BOOK else f"{trade_id}:undone",
            "size_micros": size,
            "cost_micros": cost,
        },
    )


async def _take_out(connection: Connection, order: Mapping[str, Any], step: Step, size: int) -> int:
    """Shares that left: the oldest, but of an undone buy its own first; returns their cost."""
    rows = await every(connection, "lot_entries", lot_key(order))
    own: set[int] = set()
    if step.action is Action.UNDO:
        of_trade = {"order_key": order["order_key"], "trade_id": step.trade.trade_id}
        own = {row["entry_seq"] for row in await every(connection, "entries_of_trade", of_trade)}
    rows.sort(key=lambda row: (row["entry_seq"] not in own, row["entry_seq"]))
    entries = [lots.Entry(r["entry_seq"], r["size_micros"], r["cost_micros"]) for r in rows]
    taken = lots.consume(entries, size)
    for entry in taken.entries:
        await connection.execute(
            QUERIES["set_entry"],
            {
                "entry_seq": entry.entry_seq,
                "size_micros": entry.size_micros,
                "cost_micros": entry.cost_micros,
            },
        )
    return taken.cost_micros


async def move_lot(connection: Connection, key: Mapping[str, Any], **changes: int) -> int:
    """Add to the sums of a lot that is locked, micros; returns the shares that it holds then."""
    values = dict.fromkeys(
        (
            "shares", "cost", "bought_size", "bought_notional", "sold_size", "sold_notional",
            "fee", "realised", "resolved_size", "payout",
        ),
        0,
    )  # fmt: skip
    lot = await one(connection, "move_lot", {**key, **values, **changes})
    return int(lot["shares_micros"])


async def _note(
    connection: Connection, order: Mapping[str, Any], step: Step, realised: int
) -> None:
    """The order's totals, and the booking that the stream carries."""
    trade = step.trade
    sign = {Action.BOOK: 1, Action.FINALISE: 0, Action.UNDO: -1}[step.action]
    total = await one(
        connection,
        "move_order",
        {
            "order_key": order["order_key"],
            "size": sign * trade.size_micros,
            "notional": sign * trade.notional_micros,
            "fee": sign * trade.fee_micros,
        },
    )
    if sign:
        received = trade.notional_micros if order["side"] == "SELL" else -trade.notional_micros
        cash = sign * (received - trade.fee_micros)
        await move_balance(connection, order["follower_proxy"], cash)
    lot = await one(connection, "lock_lot", lot_key(order))
    await connection.execute(
        QUERIES["add_booking"],
        {
            "kind": step.action.value,
            "order_key": order["order_key"],
            "trade_id": trade.trade_id,
            "size_micros": trade.size_micros,
            "notional_micros": trade.notional_micros,
            "fee_micros": trade.fee_micros,
            "realised_micros": realised,
            "order_state": order["state"],
            "reason": "",
            "order_filled_micros": total["filled_size_micros"],
            "lot_shares_micros": lot["shares_micros"],
            "lot_cost_micros": lot["cost_micros"],
        },
    )


async def move_balance(connection: Connection, proxy: str, cash_micros: int) -> None:
    """Add to the cash of a wallet; what was asked about it before is outdated."""
    await connection.execute(
        QUERIES["move_balance"], {"follower_proxy": proxy, "cash": cash_micros}
    )
