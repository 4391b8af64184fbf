"""A slice's order is made of its inputs alone, and each slice has a key of its own."""

from __future__ import annotations

import json
from typing import Any

from services.guard.core.exit_order import exit_order
from services.guard.core.exit_size import Exit
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Purpose
from tradingtools.venues.insiders.order_body import order_body

ROW: dict[str, Any] = {
    "id": "trigger-1",
    "generation": 1,
    "user_id": "user",
    "wallet_id": "wallet",
    "follower_proxy": "0x" + "2" * 40,
    "origin": "sub-1",
    "leader": "0x" + "b" * 40,
    "subscription_version": 3,
    "condition_id": "0x" + "c" * 64,
    "asset_id": "7",
}


def test_the_same_inputs_give_the_same_order() -> None:
    first = exit_order(
        dict(ROW),
        Exit(5_000_000, 400_000),
        rung=0,
        slice_number=0,
        not_after_ms=1_500,
        body_of=order_body,
    )
    again = exit_order(
        dict(ROW),
        Exit(5_000_000, 400_000),
        rung=0,
        slice_number=0,
        not_after_ms=1_500,
        body_of=order_body,
    )
    assert first == again
    assert first.body_hash == again.body_hash


def test_an_exit_sells_and_reserves_shares_only() -> None:
    order = exit_order(
        ROW,
        Exit(5_000_000, 400_000),
        rung=0,
        slice_number=0,
        not_after_ms=1_500,
        body_of=order_body,
    )
    assert (order.side, order.purpose) == (Side.SELL, Purpose.GUARD_EXIT)
    assert (order.reserved_money_micros, order.reserved_shares_micros) == (0, 5_000_000)
    body = json.loads(order.body)
    assert (body["size"], body["limitPrice"]) == ("5", "0.4")
    assert body["notAfter"] == "1970-01-01T00:00:01.500Z"


def test_slices_rungs_generations_and_triggers_never_share_a_key() -> None:
    keys = {
        exit_order(
            {**ROW, "id": trigger, "generation": generation},
            Exit(5_000_000, 400_000),
            rung=rung,
            slice_number=number,
            not_after_ms=1_500,
            body_of=order_body,
        ).order_key
        for trigger in ("trigger-1", "trigger-11")
        for generation in (1, 2, 11)
        for rung in range(3)
        for number in range(12)
    }
    assert len(keys) == 2 * 3 * 3 * 12
