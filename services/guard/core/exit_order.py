"""Make the order of one slice of a trigger's exit. Pure: key and body are made of their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.guard.core.exit_size import Exit
from tradingtools.domain import ids
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Follower, Order, Purpose, TimeInForce
from tradingtools.domain.trigger_types import MANUAL
from tradingtools.venues.ports import OrderBody


def exit_order(
    row: Mapping[str, Any],
    sized: Exit,
    *,
    rung: int,
    slice_number: int,
    not_after_ms: int,
    body_of: OrderBody,
) -> Order:
    """Return the order for a slice.

    Args:
        row: of the trigger, with its subscription's follower ids and leader.
        sized: size and limit.
        rung: the highest one that it sells, from 0; 0 for what is no ladder.
        slice_number: from 0 within the exit.
        not_after_ms: its deadline.
        body_of: writes its body.
    """
    copy_key = ids.guard_exit_key(row["id"], row["generation"], rung)
    follower = Follower(
        user_id=row["user_id"],
        wallet_id=row["wallet_id"],
        proxy=row["follower_proxy"],
    )
    return Order(
        order_key=ids.order_key(copy_key, slice_number),
        copy_key=copy_key,
        ordinal=slice_number,
        purpose=Purpose.GUARD_EXIT,
        subscription_id="" if row["origin"] == MANUAL else row["origin"],
        subscription_version=row["subscription_version"],
        trigger_id=row["id"],
        follower=follower,
        leader=row["leader"],
        leader_tx="",
        condition_id=row["condition_id"],
        asset_id=row["asset_id"],
        side=Side.SELL,
        size_micros=sized.size_micros,
        limit_micros=sized.limit_micros,
        time_in_force=TimeInForce.FAK,
        not_after_ms=not_after_ms,
        body=body_of(
            follower=follower,
            condition_id=row["condition_id"],
            asset_id=row["asset_id"],
            size_micros=sized.size_micros,
            limit_micros=sized.limit_micros,
            time_in_force=TimeInForce.FAK,
            not_after_ms=not_after_ms,
        ),
        reserved_money_micros=0,
        reserved_shares_micros=sized.size_micros,
    )
