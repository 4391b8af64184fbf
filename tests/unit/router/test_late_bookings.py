"""A booking that comes again tells what a lot cost then; caps go by what it costs now.

Found by the simulation (seed 20582): fills were replayed out of quarantine, the lot's cost fell
back to what it had been, and an entry went beyond the subscription's cap in its market.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from services.router.worker import Router
from tests.unit.router.test_budget import SETTINGS, SUB, WALLET, Shelf, buy, no_batches, subscribe
from tests.unit.samples import CONDITION
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import lease
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.venues.insiders.order_body import order_body

_CAP, _EARLIER, _NOW = 15_000_000, 4_000_000, 12_000_000


def _two_fills(tx: Transaction) -> None:
    tx.update("subscription", tx.get("subscription", SUB) or {}, max_per_market_micros=_CAP)
    key = {"follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "condition_id": CONDITION}
    tx.insert("lot", {**key, "shares_micros": 2 * _NOW, "cost_micros": _NOW})
    for seq, cost in ((1, _EARLIER), (2, _NOW)):
        amounts = dict.fromkeys(
            ("size_micros", "notional_micros", "fee_micros", "realised_micros"), 0
        )
        order = {"order_state": "SUBMITTED", "order_filled_micros": 0, "lot_shares_micros": 1}
        tx.insert(
            "booking",
            {
                "fill_seq": seq, "kind": "MATCHED", "trade_id": str(seq), "lot_cost_micros": cost,
                **amounts, **order,
            },
        )  # fmt: skip


@pytest.mark.parametrize("recovered", [False, True], ids=["replayed", "read on from before"])
async def test_an_older_booking_does_not_widen_a_cap(recovered: bool) -> None:
    database = MemoryDatabase()
    pool = cast(Any, MemoryPool(database))
    database.write(subscribe)
    owned = await lease.acquire(pool, "router", 0, "router-0")
    router = Router(
        pool, owned, cast(Any, Shelf()), Tail(0, no_batches), SETTINGS, body_of=order_body
    )

    def booked(seq: int, cost: int) -> confirm_pb.FillEvent:
        return confirm_pb.FillEvent(
            fill_seq=seq, kind=confirm_pb.FILL_KIND_MATCHED, subscription_id=SUB,
            follower_proxy=WALLET, condition_id=CONDITION, asset_id="7", lot_cost_micros=cost,
        )  # fmt: skip

    if recovered:
        database.write(_two_fills)
        await router.recover()
    else:
        await router.recover()
        database.write(_two_fills)
        await router.bookings.on_fill(booked(1, _EARLIER))
        await router.bookings.on_fill(booked(2, _NOW))
        await router.refresh_index()
    await router.bookings.on_fill(booked(1, _EARLIER))
    await router.on_facts([buy(1)])
    await router.recover()  # rows of what was claimed
    reserved = sum(row["money_micros"] for row in database.table("reservation").values())
    assert _CAP - _NOW - 100_000 < reserved <= _CAP - _NOW
