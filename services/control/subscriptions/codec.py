"""A subscription and what became of it, between contracts and values."""

from __future__ import annotations

from services.control.messages import Fields
from services.control.store import Row
from services.control.subscriptions import (
    defaults_codec,
    performance_codec,
    rules,
    settings_codec,
)
from services.control.subscriptions.store import DecisionFilter
from tradingtools.domain.money import MICROS, divided_half_even, to_text
from tradingtools.domain.order import Follower
from tradingtools.v1 import control_service_pb2 as control


def new_subscription(request: control.CreateSubscriptionRequest) -> rules.NewSubscription:
    """Read the new subscription from a create; raises InvalidField."""
    return rules.new_subscription(
        follower=Follower(
            user_id=request.follower.follower_user_id,
            wallet_id=request.follower.follower_wallet_id,
            proxy=request.follower.follower_proxy,
        ),
        leader=request.leader,
        groups=(
            settings_codec.sizing_group(request.sizing),
            settings_codec.limits_group(request.limits),
            settings_codec.filters_group(request.filters),
            settings_codec.exits_group(request.exits),
            defaults_codec.triggers_group(request.triggers),
            performance_codec.performance_group(request.performance),
        ),
        shadow=request.shadow,
        start=settings_codec.start_mode(request),
        paused=request.paused,
    )


def given_groups(request: control.UpdateSubscriptionRequest) -> list[rules.Group]:
    """The groups that a change gives; raises InvalidField."""
    groups: list[rules.Group] = []
    if request.HasField("sizing"):
        groups.append(settings_codec.sizing_group(request.sizing))
    if request.HasField("limits"):
        groups.append(settings_codec.limits_group(request.limits))
    if request.HasField("filters"):
        groups.append(settings_codec.filters_group(request.filters))
    if request.HasField("exits"):
        groups.append(settings_codec.exits_group(request.exits))
    if request.HasField("triggers"):
        groups.append(defaults_codec.triggers_group(request.triggers))
    if request.HasField("performance"):
        groups.append(performance_codec.performance_group(request.performance))
    return groups


def decision_filter(request: control.ListSubscriptionDecisionsRequest) -> DecisionFilter:
    """Read the filter from a list of decisions."""
    return DecisionFilter(
        reason=request.reason,
        from_ms=request.from_ms if request.HasField("from_ms") else None,
        to_ms=request.to_ms if request.HasField("to_ms") else None,
        copied=request.copied if request.HasField("copied") else None,
        leader_tx=request.leader_tx.lower(),
    )


def subscription(row: Row) -> Fields:
    """A subscription's row."""
    return {
        "id": row["id"],
        "follower": {
            "follower_user_id": row["follower_user_id"],
            "follower_wallet_id": row["follower_wallet_id"],
            "follower_proxy": row["follower_proxy"],
        },
        "leader": row["leader"],
        "state": f"SUBSCRIPTION_STATE_{row['state']}",
        "version": row["version"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        **settings_codec.to_fields(row),
        **defaults_codec.to_fields(row),
        **performance_codec.to_fields(row),
    }


def fill(row: Row) -> Fields:
    """A fill's row; the price is notional by size, half-even, for people."""
    return {
        "order_id": row["order_key"],
        "trade_id": row["trade_id"],
        "condition_id": row["condition_id"],
        "asset_id": row["asset_id"],
        "side": f"SIDE_{row['side']}",
        "size": to_text(row["size_micros"]),
        "price": to_text(divided_half_even(row["notional_micros"] * MICROS, row["size_micros"])),
        "notional": to_text(row["notional_micros"]),
        "fee": to_text(row["fee_micros"]),
        "final": row["final"],
        "filled_at": row["matched_at"],
        "leader_tx": row["leader_tx"],
        "trigger_id": row["trigger_id"] or "",
    }


def decision(row: Row) -> Fields:
    """A decision's row."""
    paper = {}
    if row["paper_size_micros"]:
        paper = {
            "paper_size": to_text(abs(row["paper_size_micros"])),
            "paper_notional": to_text(abs(row["paper_notional_micros"] or 0)),
        }
    return {
        **paper,
        "leader_tx": row["leader_tx"],
        "condition_id": row["condition_id"],
        "asset_id": row["asset_id"],
        "side": f"SIDE_{row['side']}",
        "leader_size": to_text(row["leader_size_micros"]),
        "leader_notional": to_text(int(row["leader_notional_micros"])),
        "copied": row["copied"],
        "reason": row["reason"],
        "detail": row["detail"],
        "order_ids": row["order_keys"],
        "orders": [
            {
                "id": key,
                "state": f"ORDER_STATE_{state}",
                "reason": reason,
                "filled_size": to_text(filled),
            }
            for key, state, reason, filled in row["orders"] or ()
        ],
        "decided_at": row["decided_at"],
    }
