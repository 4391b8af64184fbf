"""An exit that waits for an entry ends with it, also when its subscription is deleted meanwhile.

Found by the simulation (seed 112): the entry was lost, nothing was held, nobody followed the sell
any more, and its decision waited for ever.
"""

from __future__ import annotations

from dataclasses import replace

from tests.unit.router.test_budget import SUB, WALLET, buy, recovered, subscribe
from tradingtools.domain.leader_trade import Side
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb


async def test_waiting_sell_ends_though_its_subscription_is_deleted() -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    router = await recovered(database)
    await router.on_facts([buy(1)])
    await router.recover()  # rows of what was claimed
    (entry,) = database.table("orders").values()

    def send_and_delete(tx: Transaction) -> None:
        tx.update("orders", tx.get("orders", entry["order_key"]) or {}, state="UNKNOWN")
        gone = {"state": "DELETED", "version": 2, "changed_seq": 2}
        tx.update("subscription", tx.get("subscription", SUB) or {}, **gone)

    database.write(send_and_delete)
    await router.refresh_index()
    key = replace(buy(2).key, side=Side.SELL)
    await router.on_facts([replace(buy(2), key=key)])
    assert _reason(database) == "WAITING_FOR_ENTRY"

    def lose(tx: Transaction) -> None:
        tx.update("orders", tx.get("orders", entry["order_key"]) or {}, state="LOST")

    database.write(lose)
    await router.bookings.on_fill(
        confirm_pb.FillEvent(
            kind=confirm_pb.FILL_KIND_CLOSED, subscription_id=SUB, follower_proxy=WALLET,
            asset_id="7", order_key=entry["order_key"], order_size_micros=entry["size_micros"],
            order_state=common.ORDER_STATE_LOST,
        )
    )  # fmt: skip
    await router._route(router._state.trades[key], "again-1")
    assert _reason(database) == "NOTHING_HELD"


def _reason(database: MemoryDatabase) -> str:
    (sell,) = (r for r in database.table("decision").values() if r["side"] == "SELL")
    return str(sell["reason"])
