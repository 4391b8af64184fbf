"""An order's rows as operators see them."""

from __future__ import annotations

from collections.abc import Sequence

from services.control.messages import timestamp
from services.control.store import Row
from tradingtools.domain.money import to_text
from tradingtools.domain.order_states import OrderState, operator_ends
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import holding_service_pb2 as holding
from tradingtools.v1 import operator_service_pb2 as operator

_SAME = (
    "order_key", "copy_key", "ordinal", "subscription_version", "leader", "leader_tx",
    "condition_id", "asset_id", "size_micros", "limit_micros", "not_after_ms", "body",
)  # fmt: skip


def order_history(row: Row, events: Sequence[Row]) -> operator.GetOrderResponse:
    """An order with its outcome and every transition."""
    return operator.GetOrderResponse(
        order=_order(row),
        state=state(row["state"]),
        reason=row["reason"],
        filled_size_micros=row["filled_size_micros"],
        filled_notional_micros=row["filled_notional_micros"],
        fee_micros=row["fee_micros"],
        venue_order_id=row["venue_order_id"],
        transitions=[_transition(event) for event in events],
        times=_times(row),
    )


def follower_order(row: Row) -> holding.FollowerOrder:
    """An order as REST shows it."""
    fields = {
        name: row[name]
        for name in ("subscription_id", "trigger_id", "leader", "leader_tx", "reason")
        if row[name]
    }
    return holding.FollowerOrder(
        **fields,
        id=row["order_key"],
        purpose=common.OrderPurpose.Value(f"ORDER_PURPOSE_{row['purpose']}"),
        follower=_follower(row),
        condition_id=row["condition_id"],
        asset_id=row["asset_id"],
        side=common.Side.Value(f"SIDE_{row['side']}"),
        size=to_text(row["size_micros"]),
        limit_price=to_text(row["limit_micros"]),
        state=state(row["state"]),
        filled_size=to_text(row["filled_size_micros"]),
        filled_notional=to_text(row["filled_notional_micros"]),
        fees=to_text(row["fee_micros"]),
        times=_times(row),
    )


_HOPS = {
    "received_at": "received_ns", "decided_at": "routed_ns", "claimed_at": "claimed_ns",
    "submitting_at": "submitting_ns", "sent_at": "first_byte_ns", "answered_at": "answered_ns",
    "confirmed_at": "confirmed_ns",
}  # fmt: skip
"""By field, the column; 0: it did not come so far."""


def _times(row: Row) -> common.OrderTimes:
    times = common.OrderTimes()
    for name, column in _HOPS.items():
        if row[column]:
            # Whole microseconds: the contracts carry no more.
            getattr(times, name).FromMicroseconds(row[column] // 1_000)
    if row["traded_ms"]:
        times.traded_at.FromMilliseconds(row["traded_ms"])
    return times


def _follower(row: Row) -> common.FollowerIdentity:
    return common.FollowerIdentity(
        follower_user_id=row["follower_user_id"],
        follower_wallet_id=row["follower_wallet_id"],
        follower_proxy=row["follower_proxy"],
    )


def _order(row: Row) -> common.Order:
    return common.Order(
        **{name: row[name] for name in _SAME},
        purpose=common.OrderPurpose.Value(f"ORDER_PURPOSE_{row['purpose']}"),
        subscription_id=row["subscription_id"] or "",
        trigger_id=row["trigger_id"] or "",
        follower=_follower(row),
        side=common.Side.Value(f"SIDE_{row['side']}"),
        time_in_force=common.TimeInForce.Value(f"TIME_IN_FORCE_{row['time_in_force']}"),
        reserved_money_micros=row["reserved_money_micros"] or 0,
        reserved_shares_micros=row["reserved_shares_micros"] or 0,
    )


def state(text: str) -> common.OrderState.ValueType:
    """A stored state on the wire."""
    return common.OrderState.Value(f"ORDER_STATE_{text or 'UNSPECIFIED'}")


def state_of(wire: common.OrderState.ValueType) -> OrderState:
    """A state of the wire as stored."""
    return OrderState(common.OrderState.Name(wire).removeprefix("ORDER_STATE_"))


_LISTED = (
    "order_key", "reason", "follower_proxy", "asset_id", "size_micros", "filled_size_micros",
    "filled_notional_micros", "fee_micros", "venue_order_id",
)  # fmt: skip


def order_summary(row: Row) -> operator.OrderSummary:
    """An order as a list shows it, with where an operator may end it."""
    return operator.OrderSummary(
        **{name: row[name] for name in _LISTED},
        state=state(row["state"]),
        side=common.Side.Value(f"SIDE_{row['side']}"),
        created_at=timestamp(row["created_at"]),
        operator_ends=[state(end) for end in operator_ends(OrderState(row["state"]))],
    )


def _transition(row: Row) -> operator.OrderTransition:
    return operator.OrderTransition(
        from_state=state(row["from_state"]),
        to_state=state(row["to_state"]),
        reason=row["reason"],
        epoch=row["epoch"],
        occurred_at=timestamp(row["occurred_at"]),
        chain_hash=row["hash"].hex(),
    )
