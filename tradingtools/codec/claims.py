"""A claimed record between its three forms: domain values, journal JSON, protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tradingtools.domain.leader_trade import LeaderRow, Side
from tradingtools.domain.order import Follower, Order, Purpose, TimeInForce
from tradingtools.v1 import common_pb2 as pb

_encode = msgspec.json.Encoder().encode


def claim_payload(
    orders: Iterable[Order],
    *,
    decisions: Iterable[Mapping[str, Any]] = (),
    rows: Iterable[LeaderRow] = (),
    control_seq: int,
    traceparent: str,
    received_ns: int,
    routed_ns: int,
) -> bytes:
    """The bytes of a CLAIMED record; `build_claimed` in the migrations reads these names."""
    common = {
        "control_seq": control_seq,
        "traceparent": traceparent,
        "received_ns": received_ns,
        "routed_ns": routed_ns,
    }
    return _encode(
        {
            "traceparent": traceparent,
            "orders": [_order_fields(order) | common for order in orders],
            "decisions": list(decisions),
            "rows": [_row_fields(row) for row in rows],
        }
    )


def _order_fields(order: Order) -> dict[str, Any]:
    return {
        "order_key": order.order_key,
        "copy_key": order.copy_key,
        "ordinal": order.ordinal,
        "purpose": order.purpose,
        "subscription_id": order.subscription_id,
        "subscription_version": order.subscription_version,
        "trigger_id": order.trigger_id,
        "follower_user_id": order.follower.user_id,
        "follower_wallet_id": order.follower.wallet_id,
        "follower_proxy": order.follower.proxy,
        "leader": order.leader,
        "leader_tx": order.leader_tx,
        "condition_id": order.condition_id,
        "asset_id": order.asset_id,
        "side": order.side,
        "size_micros": order.size_micros,
        "limit_micros": order.limit_micros,
        "time_in_force": order.time_in_force,
        "not_after_ms": order.not_after_ms,
        "body": order.body,
        "body_hash": order.body_hash,
        "reserved_money_micros": order.reserved_money_micros,
        "reserved_shares_micros": order.reserved_shares_micros,
    }


def _row_fields(row: LeaderRow) -> dict[str, Any]:
    return {
        "leader_tx": row.key.leader_tx,
        "leader": row.key.leader,
        "asset_id": row.key.asset_id,
        "side": row.key.side,
        "price_text": row.price_text,
        "size_micros": row.size_micros,
        "source": row.source,
        "count": row.count,
        "price_micros": row.price_micros,
        "condition_id": row.condition_id,
        "traded_ms": row.traded_ms,
        "held_before_micros": row.held_before_micros,
    }


def order_from_fields(fields: Mapping[str, Any]) -> Order:
    """An order from journal JSON or from its row (whose body is bytes)."""
    body = fields["body"]
    return Order(
        order_key=fields["order_key"],
        copy_key=fields["copy_key"],
        ordinal=fields["ordinal"],
        purpose=Purpose(fields["purpose"]),
        subscription_id=fields["subscription_id"] or "",
        subscription_version=fields["subscription_version"],
        trigger_id=fields["trigger_id"] or "",
        follower=Follower(
            user_id=fields["follower_user_id"],
            wallet_id=fields["follower_wallet_id"],
            proxy=fields["follower_proxy"],
        ),
        leader=fields["leader"],
        leader_tx=fields["leader_tx"],
        condition_id=fields["condition_id"],
        asset_id=fields["asset_id"],
        side=Side(fields["side"]),
        size_micros=fields["size_micros"],
        limit_micros=fields["limit_micros"],
        time_in_force=TimeInForce(fields["time_in_force"]),
        not_after_ms=fields["not_after_ms"],
        body=body if isinstance(body, str) else bytes(body).decode(),
        reserved_money_micros=fields["reserved_money_micros"],
        reserved_shares_micros=fields["reserved_shares_micros"],
    )


_SIDES = {Side.BUY: pb.SIDE_BUY, Side.SELL: pb.SIDE_SELL}
_SIDES_BACK = {value: key for key, value in _SIDES.items()}
_PURPOSES = {
    Purpose.ENTRY: pb.ORDER_PURPOSE_ENTRY,
    Purpose.COPY_EXIT: pb.ORDER_PURPOSE_COPY_EXIT,
    Purpose.GUARD_EXIT: pb.ORDER_PURPOSE_GUARD_EXIT,
}
_PURPOSES_BACK = {value: key for key, value in _PURPOSES.items()}
_FORCES = {TimeInForce.FAK: pb.TIME_IN_FORCE_FAK, TimeInForce.FOK: pb.TIME_IN_FORCE_FOK}
_FORCES_BACK = {value: key for key, value in _FORCES.items()}


def side_from_pb(side: pb.Side.ValueType) -> Side:
    """Wire side to domain; KeyError when unspecified."""
    return _SIDES_BACK[side]


def order_to_pb(order: Order) -> pb.Order:
    """Domain order to wire."""
    return pb.Order(
        order_key=order.order_key,
        copy_key=order.copy_key,
        ordinal=order.ordinal,
        purpose=_PURPOSES[order.purpose],
        subscription_id=order.subscription_id,
        subscription_version=order.subscription_version,
        trigger_id=order.trigger_id,
        follower=pb.FollowerIdentity(
            follower_user_id=order.follower.user_id,
            follower_wallet_id=order.follower.wallet_id,
            follower_proxy=order.follower.proxy,
        ),
        leader=order.leader,
        leader_tx=order.leader_tx,
        condition_id=order.condition_id,
        asset_id=order.asset_id,
        side=_SIDES[order.side],
        size_micros=order.size_micros,
        limit_micros=order.limit_micros,
        time_in_force=_FORCES[order.time_in_force],
        not_after_ms=order.not_after_ms,
        body=order.body.encode(),
        reserved_money_micros=order.reserved_money_micros,
        reserved_shares_micros=order.reserved_shares_micros,
    )


def order_from_pb(message: pb.Order) -> Order:
    """Wire order to domain; KeyError when an enum is unspecified."""
    follower = message.follower
    return Order(
        order_key=message.order_key,
        copy_key=message.copy_key,
        ordinal=message.ordinal,
        purpose=_PURPOSES_BACK[message.purpose],
        subscription_id=message.subscription_id,
        subscription_version=message.subscription_version,
        trigger_id=message.trigger_id,
        follower=Follower(
            user_id=follower.follower_user_id,
            wallet_id=follower.follower_wallet_id,
            proxy=follower.follower_proxy,
        ),
        leader=message.leader,
        leader_tx=message.leader_tx,
        condition_id=message.condition_id,
        asset_id=message.asset_id,
        side=_SIDES_BACK[message.side],
        size_micros=message.size_micros,
        limit_micros=message.limit_micros,
        time_in_force=_FORCES_BACK[message.time_in_force],
        not_after_ms=message.not_after_ms,
        body=message.body.decode(),
        reserved_money_micros=message.reserved_money_micros,
        reserved_shares_micros=message.reserved_shares_micros,
    )


def batch_from_payload(seq: int, claimed_ns: int, payload: Mapping[str, Any]) -> pb.OrderBatch:
    """The wire form of a record that is read back from the journal."""
    orders = payload["orders"]
    return pb.OrderBatch(
        journal_seq=seq,
        orders=[order_to_pb(order_from_fields(fields)) for fields in orders],
        traceparent=orders[0]["traceparent"] if orders else "",
        received_ns=orders[0]["received_ns"] if orders else 0,
        claimed_ns=claimed_ns,
        control_seq=orders[0]["control_seq"] if orders else 0,
    )
