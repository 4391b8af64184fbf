"""The simulation's judge sees an exit that sells more than its part, and passes what is right."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from tests.simulation.judge import _sells_too_much
from tests.simulation.world import World
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction

_TRADE = {"leader": "0xl", "asset_id": "71", "side": "SELL"}
_SHARES = 1_000_000


def _world(slice_after: float, sold: int) -> World:
    """A leader sells half of his, and a second later the rest; the first exit's slice is claimed so
    many seconds after he sold the half."""
    database = MemoryDatabase()
    started = database.now()

    def write(tx: Transaction) -> None:
        for number, (tx_id, size, held) in enumerate((("0x1", 50, 100), ("0x2", 50, 50))):
            key = {**_TRADE, "leader_tx": tx_id}
            tx.insert("leader_row", {
                **key, "price_text": "0.5", "size_micros": size, "source": "FEED", "count": 1,
                "price_micros": 500_000, "condition_id": "0xc", "traded_ms": 1000 * number,
                "held_before_micros": held,
            })  # fmt: skip
            tx.insert("decision", {
                **key, "subscription_id": "sub", "condition_id": "0xc", "follower_proxy": "0xw",
                "copied": True, "reason": "", "detail": "", "leader_size_micros": size,
                "leader_notional_micros": 0, "order_keys": () if number else ("slice",),
                "frozen": {"owned_micros": 40 * _SHARES},
                "decided_at": started + timedelta(seconds=number),
            })  # fmt: skip
        tx.insert("orders", {
            **_TRADE, "leader_tx": "0x1", "order_key": "slice", "copy_key": "slice", "ordinal": 0,
            "purpose": "COPY_EXIT", "subscription_version": 1, "follower_user_id": "",
            "follower_wallet_id": "", "follower_proxy": "0xw", "partition": 0,
            "condition_id": "0xc", "size_micros": sold, "limit_micros": 1, "time_in_force": "FAK",
            "not_after_ms": 0, "body": b"", "body_hash": "", "journal_seq": 1, "control_seq": 0,
            "state": "CONFIRMED", "chain_head": b"", "subscription_id": "sub",
            "filled_size_micros": sold, "created_at": started + timedelta(seconds=slice_after),
        })  # fmt: skip

    database.write(write)
    return cast(World, SimpleNamespace(database=database))


@pytest.mark.parametrize(
    ("slice_after", "sold", "found"),
    [
        (0.0, 20 * _SHARES + 10_000, 0),
        (0.0, 20 * _SHARES + 10_001, 1),
        # Once the leader has left, what could not be sold alone goes along: less than two orders.
        (1.0, 30 * _SHARES, 0),
        (1.0, 30 * _SHARES + 1, 1),
    ],
)
def test_exit_takes_no_more_than_the_leader_had_left(
    slice_after: float, sold: int, found: int
) -> None:
    assert len(_sells_too_much(_world(slice_after, sold))) == found
