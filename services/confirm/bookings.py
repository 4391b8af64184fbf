"""Load bookings after a cursor, in their wire form."""

from __future__ import annotations

from typing import Any

from services.confirm.queries import QUERIES
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb

_KINDS = {
    "MATCHED": pb.FILL_KIND_MATCHED,
    "CONFIRMED": pb.FILL_KIND_CONFIRMED,
    "UNDONE": pb.FILL_KIND_UNDONE,
    "CLOSED": pb.FILL_KIND_CLOSED,
    "RESOLVED": pb.FILL_KIND_RESOLVED,
    "CORRECTED": pb.FILL_KIND_CORRECTED,
}


async def load_bookings(pool: Pool, after: int, limit: int) -> list[tuple[int, pb.FillEvent]]:
    """Return the bookings after a cursor, oldest first, in their wire form."""
    async with pool.connection() as connection:
        (rows,) = await connection.fetch_pipelined(
            [(QUERIES["bookings_after"], {"after": after, "limit": limit})]
        )
    return [(row["fill_seq"], _fill_event(row)) for row in rows]


def _fill_event(row: dict[str, Any]) -> pb.FillEvent:
    fill = pb.FillEvent(
        fill_seq=row["fill_seq"],
        kind=_KINDS[row["kind"]],
        subscription_id=row["subscription_id"] or "",
        follower_proxy=row["follower_proxy"],
        condition_id=row["condition_id"],
        asset_id=row["asset_id"],
        size_micros=row["size_micros"],
        notional_micros=row["notional_micros"],
        fee_micros=row["fee_micros"],
        lot_shares_micros=row["lot_shares_micros"],
        lot_cost_micros=row["lot_cost_micros"],
        booked_ns=row["booked_ns"],
        reason=row["reason"],
    )
    if row["order_key"] is not None:
        _add_order(fill, row)
    return fill


def _add_order(fill: pb.FillEvent, row: dict[str, Any]) -> None:
    """Return what only a booking about an order has; a payout or a correction is about none."""
    fill.order_key = row["order_key"]
    fill.purpose = common.OrderPurpose.Value(f"ORDER_PURPOSE_{row['purpose']}")
    fill.trigger_id = row["trigger_id"] or ""
    fill.side = common.Side.Value(f"SIDE_{row['side']}")
    fill.order_state = common.OrderState.Value(f"ORDER_STATE_{row['order_state']}")
    fill.traceparent = row["traceparent"]
    fill.order_filled_micros = row["order_filled_micros"]
    fill.order_size_micros = row["order_size_micros"]
    fill.answered_ns = row["answered_ns"]
