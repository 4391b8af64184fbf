"""Bookings in PostgreSQL: one order, one transaction, one lot under lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow

from services.confirm.core import booking, lots
from services.confirm.core.booking import Action, End, FillStatus, Step
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.adapters.postgres.sql import load_queries
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.venue_order import VenueOrder

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_log = structlog.get_logger("confirm.store")
Connection = psycopg.AsyncConnection[DictRow]


async def fetch(pool: Pool, name: str, **values: Any) -> list[DictRow]:
    """All rows of one named query."""
    async with pool.connection() as connection:
        return await _all(connection, name, values)


async def execute(pool: Pool, name: str, **values: Any) -> None:
    """Run one named statement."""
    async with pool.connection() as connection:
        await connection.execute(_QUERIES[name], values)


async def _all(connection: Connection, name: str, values: Mapping[str, Any]) -> list[DictRow]:
    cursor = await connection.execute(_QUERIES[name], values)
    return await cursor.fetchall()


async def _one(connection: Connection, name: str, values: Mapping[str, Any]) -> DictRow:
    rows = await _all(connection, name, values)
    if len(rows) != 1:
        raise LookupError(f"{name}: expected one row, got {len(rows)}")
    return rows[0]


async def transition(pool: Pool, transitions: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Apply transitions; returns the keys that changed with their event numbers."""
    async with pool.connection() as connection, connection.transaction():
        return await journal.apply_transitions(connection, transitions)


async def book(pool: Pool, lease: Lease, order_key: str, answer: VenueOrder, now_ns: int) -> bool:
    """Book what an answer tells of a SUBMITTED order, and end it when it has ended.

    A crash before the commit books nothing; repeating books nothing twice.

    Args:
        pool: of the deciding database.
        lease: of the process that books.
        order_key: of the order.
        answer: of insiders-api, about this key.
        now_ns: for the order's time of confirmation.

    Returns:
        Whether the order is still open.

    Raises:
        Fenced: somebody else books now.
    """
    async with pool.connection() as connection, connection.transaction():
        await journal.check_lease(connection, lease)
        order = await _one(connection, "lock_order", {"order_key": order_key})
        if order["state"] != OrderState.SUBMITTED:
            return False
        rows = await _all(connection, "fills", {"order_key": order_key})
        known = {row["trade_id"]: FillStatus(row["status"]) for row in rows}
        costs = {row["trade_id"]: row["cost_micros"] for row in rows}
        todo = booking.steps(known, answer)
        if todo:
            await _lock_lot(connection, order)
        for step in todo:
            await _take(connection, order, step, costs)
        ending = booking.end(booking.after(known, todo), answer)
        if ending is None:
            return True
        await _end(connection, order, ending, now_ns)
        return False


async def close(pool: Pool, lease: Lease, order_key: str) -> None:
    """Add the CLOSED booking of an order that has ended elsewhere; once. Raises Fenced."""
    async with pool.connection() as connection, connection.transaction():
        await journal.check_lease(connection, lease)
        order = await _one(connection, "lock_order", {"order_key": order_key})
        await _close(connection, order, order["state"], order["reason"])


def _lot_key(order: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "follower_proxy": order["follower_proxy"],
        "asset_id": order["asset_id"],
        "origin": order["subscription_id"] or "manual",
    }


async def _lock_lot(connection: Connection, order: Mapping[str, Any]) -> None:
    key = _lot_key(order)
    await connection.execute(_QUERIES["make_lot"], {**key, "condition_id": order["condition_id"]})
    await connection.execute(_QUERIES["lock_lot"], key)


async def _take(
    connection: Connection, order: Mapping[str, Any], step: Step, costs: dict[str, int]
) -> None:
    trade = step.trade
    realised = 0
    if step.action is Action.BOOK:
        cost, realised = await _move(connection, order, step)
        await connection.execute(
            _QUERIES["add_fill"],
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
    else:
        status = FillStatus.CONFIRMED if step.action is Action.FINALISE else FillStatus.FAILED
        await connection.execute(
            _QUERIES["end_fill"],
            {"order_key": order["order_key"], "trade_id": trade.trade_id, "status": status},
        )
        if step.action is Action.UNDO:
            realised = await _undo(connection, order, step, costs[trade.trade_id])
    await _note(connection, order, step, realised)


async def _move(connection: Connection, order: Mapping[str, Any], step: Step) -> tuple[int, int]:
    """Move the lot by a new trade; returns (cost of what was sold, realised profit)."""
    trade, key = step.trade, _lot_key(order)
    if order["side"] == "BUY":
        await connection.execute(
            _QUERIES["add_entry"],
            {
                **key,
                "order_key": order["order_key"],
                "trade_id": trade.trade_id,
                "size_micros": trade.size_micros,
                "cost_micros": trade.notional_micros,
            },
        )
        await _move_lot(
            connection, key, shares=trade.size_micros, cost=trade.notional_micros,
            bought_size=trade.size_micros, bought_notional=trade.notional_micros,
            fee=trade.fee_micros,
        )  # fmt: skip
        return 0, 0
    rows = await _all(connection, "lot_entries", key)
    entries = [lots.Entry(r["entry_seq"], r["size_micros"], r["cost_micros"]) for r in rows]
    taken = lots.consume(entries, trade.size_micros)
    if taken.size_micros < trade.size_micros:
        _log.error("sold more than the lot held", order=order["order_key"], **key)
    for entry in taken.entries:
        await connection.execute(
            _QUERIES["set_entry"],
            {
                "entry_seq": entry.entry_seq,
                "size_micros": entry.size_micros,
                "cost_micros": entry.cost_micros,
            },
        )
    realised = trade.notional_micros - taken.cost_micros
    await _move_lot(
        connection, key, shares=-taken.size_micros, cost=-taken.cost_micros,
        sold_size=trade.size_micros, sold_notional=trade.notional_micros,
        fee=trade.fee_micros, realised=realised,
    )  # fmt: skip
    return taken.cost_micros, realised


async def _undo(connection: Connection, order: Mapping[str, Any], step: Step, cost: int) -> int:
    """Take a booked trade back; returns the change of realised profit."""
    trade, key = step.trade, _lot_key(order)
    if order["side"] == "SELL":
        await connection.execute(
            _QUERIES["add_entry"],
            {
                **key,
                "order_key": order["order_key"],
                "trade_id": f"{trade.trade_id}:undone",
                "size_micros": trade.size_micros,
                "cost_micros": cost,
            },
        )
        realised = cost - trade.notional_micros
        await _move_lot(
            connection, key, shares=trade.size_micros, cost=cost,
            sold_size=-trade.size_micros, sold_notional=-trade.notional_micros,
            fee=-trade.fee_micros, realised=realised,
        )  # fmt: skip
        return realised
    # What was sold of it meanwhile stays sold; only what is left of these shares goes.
    left = await _all(
        connection,
        "entries_of_trade",
        {"order_key": order["order_key"], "trade_id": trade.trade_id},
    )
    shares = sum(row["size_micros"] for row in left)
    gone = sum(row["cost_micros"] for row in left)
    for row in left:
        await connection.execute(
            _QUERIES["set_entry"],
            {"entry_seq": row["entry_seq"], "size_micros": 0, "cost_micros": 0},
        )
    await _move_lot(
        connection, key, shares=-shares, cost=-gone, bought_size=-trade.size_micros,
        bought_notional=-trade.notional_micros, fee=-trade.fee_micros,
    )  # fmt: skip
    return 0


async def _move_lot(connection: Connection, key: Mapping[str, Any], **changes: int) -> None:
    values = dict.fromkeys(
        (
            "shares", "cost", "bought_size", "bought_notional", "sold_size", "sold_notional",
            "fee", "realised",
        ),
        0,
    )  # fmt: skip
    await connection.execute(_QUERIES["move_lot"], {**key, **values, **changes})


async def _note(
    connection: Connection, order: Mapping[str, Any], step: Step, realised: int
) -> None:
    """The order's totals, and the booking that the stream carries."""
    trade = step.trade
    sign = {Action.BOOK: 1, Action.FINALISE: 0, Action.UNDO: -1}[step.action]
    total = await _one(
        connection,
        "move_order",
        {
            "order_key": order["order_key"],
            "size": sign * trade.size_micros,
            "notional": sign * trade.notional_micros,
            "fee": sign * trade.fee_micros,
        },
    )
    lot = await _one(connection, "lock_lot", _lot_key(order))
    await connection.execute(
        _QUERIES["add_booking"],
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


async def _end(connection: Connection, order: Mapping[str, Any], ending: End, now_ns: int) -> None:
    changed = await journal.apply_transitions(
        connection,
        [
            {
                "order_key": order["order_key"],
                "from_state": OrderState.SUBMITTED,
                "to_state": ending.state,
                "expected_epoch": order["epoch"],
                "failed_kind": ending.failed_kind,
                "reason": ending.reason,
                "confirmed_ns": now_ns,
            }
        ],
    )
    if changed:
        await _close(connection, order, ending.state, ending.reason)


async def _close(connection: Connection, order: Mapping[str, Any], state: str, reason: str) -> None:
    now = await _one(connection, "lock_order", {"order_key": order["order_key"]})
    held = await _all(connection, "lock_lot", _lot_key(order))
    await connection.execute(
        _QUERIES["add_booking"],
        {
            "kind": "CLOSED",
            "order_key": order["order_key"],
            "trade_id": "",
            "size_micros": 0,
            "notional_micros": 0,
            "fee_micros": 0,
            "realised_micros": 0,
            "order_state": state,
            "reason": reason,
            "order_filled_micros": now["filled_size_micros"],
            "lot_shares_micros": held[0]["shares_micros"] if held else 0,
            "lot_cost_micros": held[0]["cost_micros"] if held else 0,
        },
    )
