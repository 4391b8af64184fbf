"""The triggers of a new position, made with its first fill.

Runs inside the transaction that books the fill, so that no position is ever without them. Before
it: `lot_store`, which holds the lot; after it the guard, which finds them with the fill.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import DictRow

from tradingtools.domain.default_triggers import NewTrigger, from_json, triggers_for
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.trigger_types import rungs_to_fields
from tradingtools.domain.venue_order import VenueTrade

Connection = psycopg.AsyncConnection[DictRow]


async def guard_position(
    connection: Connection,
    queries: Mapping[str, LiteralString],
    order: Mapping[str, Any],
    trade: VenueTrade,
    now_ms: int,
) -> None:
    """Make the default triggers of the position that a fill has opened.

    Args:
        connection: in the transaction that books the fill.
        queries: of confirm.
        order: the row of the fill's order.
        trade: the fill.
        now_ms: the time, milliseconds since 1970.
    """
    cursor = await connection.execute(queries["default_triggers"], {"id": order["subscription_id"]})
    row = await cursor.fetchone()
    if row is None:
        return
    entry = min(max(-(-trade.notional_micros * MICROS // trade.size_micros), 1), MICROS - 1)
    for new in triggers_for(
        from_json(row["triggers"]),
        entry_micros=entry,
        opened_ms=now_ms,
        order_key=order["order_key"],
        trade_id=trade.trade_id,
    ):
        await connection.execute(queries["add_trigger"], _values(order, new))
        detail = f"by default for an entry at {to_text(entry)}"
        await connection.execute(
            queries["add_trigger_event"], {"trigger_id": new.id, "detail": detail}
        )


def _values(order: Mapping[str, Any], new: NewTrigger) -> dict[str, Any]:
    return {
        "id": new.id,
        "follower_proxy": order["follower_proxy"],
        "condition_id": order["condition_id"],
        "asset_id": order["asset_id"],
        "origin": order["subscription_id"],
        "trigger_type": new.trigger_type.value,
        "price_micros": new.price_micros,
        "callback_ppm": new.callback_ppm,
        "fire_at_ms": new.fire_at_ms,
        "rungs": json.dumps(rungs_to_fields(new.rungs)) if new.rungs else None,
        "break_even": new.break_even,
        "made_for": order["order_key"],
    }
