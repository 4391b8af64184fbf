"""Resyncs as messages."""

from __future__ import annotations

from services.control.messages import timestamp
from services.control.store import Row
from tradingtools.domain.money import to_text
from tradingtools.domain.resync import Line, ResyncKind, line_from_json
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import holding_service_pb2 as pb


def resync(row: Row) -> pb.Resync:
    """A row, with what became of its orders."""
    orders = row["orders"] or {}
    message = pb.Resync(
        id=row["id"],
        subscription_id=row["subscription_id"],
        state=pb.ResyncState.Value(f"RESYNC_STATE_{row['state']}"),
        at_start=row["kind"] == ResyncKind.START,
        lines=[_line(line_from_json(values), orders) for values in row["lines"]],
        omitted=row["omitted"],
        detail=row["detail"],
        version=row["version"],
        requested_at=timestamp(row["requested_at"]),
    )
    for name in ("leader_told_at", "previewed_at", "ended_at"):
        if row[name] is not None:
            getattr(message, name).CopyFrom(timestamp(row[name]))
    return message


def _line(line: Line, orders: Row) -> pb.ResyncLine:
    message = pb.ResyncLine(
        condition_id=line.condition_id,
        asset_id=line.asset_id,
        held_size=to_text(line.held_micros),
        reason=line.reason,
        detail=line.detail,
    )
    if line.leader_micros is not None:
        message.leader_size = to_text(line.leader_micros)
    if line.side is None:
        return message
    message.side = common.Side.Value(f"SIDE_{line.side}")
    message.size = to_text(line.size_micros)
    message.limit = to_text(line.limit_micros)
    if line.money_micros:
        message.cost = to_text(line.money_micros)
    order = orders.get(line.order_key)
    if order is not None:
        message.order_id = line.order_key
        message.order_state = common.OrderState.Value(f"ORDER_STATE_{order['state']}")
        message.filled_size = to_text(order["filled"])
    return message
