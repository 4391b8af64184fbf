"""Test that what becomes known of a leader trade while a claim of it waits for its turn is not
forgotten.

An older view that was claimed after a newer one would take its place, and what the leader sold
meanwhile would not be sold for the followers.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.unit.router.test_budget import SUB, WALLET, buy, recovered, subscribe
from tests.unit.samples import CONDITION
from tradingtools.domain.leader_trade import LeaderRow, Side
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_HELD = 100_000_000
_FIRST = 30_000_000


def _position(tx: Transaction) -> None:
    key = {"follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "condition_id": CONDITION}
    tx.insert("lot", {**key, "shares_micros": _HELD, "cost_micros": _HELD // 2})


def _rows(side: Side) -> tuple[LeaderRow, LeaderRow, LeaderRow]:
    fact = buy(2)
    first = replace(
        fact, key=replace(fact.key, side=side), size_micros=_FIRST, held_before_micros=_HELD
    )
    second = replace(first, price_text="0.49", price_micros=490_000, size_micros=_HELD - _FIRST)
    third = replace(first, price_text="0.48", price_micros=480_000, size_micros=10_000_000)
    return first, second, third


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_message_that_is_replayed_beside_its_leaders_lane() -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    router = await recovered(database)
    first, second, third = _rows(Side.BUY)
    await router.on_facts([first])
    async with router._claim_lock:
        lane = asyncio.create_task(router.on_facts([second]))
        await turns()
        replayed = asyncio.create_task(router.on_facts([third]))
        await turns()
    await asyncio.gather(lane, replayed)
    seen = [row["leader_size_micros"] for row in database.table("decision").values()]
    assert seen == [_HELD + third.size_micros]


async def test_exit_judged_again_sells_the_leaders_sales_meanwhile() -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    database.write(_position)
    router = await recovered(database)
    first, second, _ = _rows(Side.SELL)
    await router.on_facts([first])
    (one,) = database.table("orders").values()
    assert one["size_micros"] == _FIRST

    def unfilled(tx: Transaction) -> None:
        key = one["order_key"]
        tx.update("orders", tx.get("orders", key) or {}, state="FAILED", failed_kind="KILLED")
        tx.update("reservation", tx.get("reservation", key) or {}, released_at=database.now())

    database.write(unfilled)
    await router.bookings.on_fill(
        confirm_pb.FillEvent(
            kind=confirm_pb.FILL_KIND_CLOSED,
            subscription_id=SUB,
            follower_proxy=WALLET,
            asset_id="7",
            order_key=one["order_key"],
            order_size_micros=_FIRST,
            order_state=common.ORDER_STATE_FAILED,
        )
    )
    # Somebody claims; then comes the leader's second row, and then it is the open exit's time.
    async with router._claim_lock:
        lane = asyncio.create_task(router.on_facts([second]))
        await turns()
        router._state.open_exits[first.key] = 0.0
        again = asyncio.create_task(router.exits.run())
        await turns()
    await lane
    await turns()
    again.cancel()
    assert router._state.trades[first.key].size_micros == _HELD
    desired = sum(
        order["size_micros"]
        for order in database.table("orders").values()
        if order["order_key"] != one["order_key"]
    )
    assert desired == _HELD
