"""An exit goes by what its lot has, also of orders whose end the router is yet to be told."""

from __future__ import annotations

from msgspec import structs

from tests.unit.router.test_budget import SUB, WALLET, buy, recovered, subscribe
from tests.unit.router.test_exits_caught_up import SELL, _sell, position
from tradingtools.domain.reasons import Reason
from tradingtools.storage.postgres import journal
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_HELD = 100_000_000


def _sold(database: MemoryDatabase) -> list[int]:
    rows = (row for row in database.table("orders").values() if row["purpose"] == "COPY_EXIT")
    return [row["size_micros"] for row in sorted(rows, key=lambda row: row["ordinal"])]


def _killed(database: MemoryDatabase) -> confirm_pb.FillEvent:
    (key,) = (k["order_key"] for k in database.table("orders").values() if k["side"] == "SELL")

    def book(tx: Transaction) -> None:
        order, reserved = tx.get("orders", key) or {}, tx.get("reservation", key) or {}
        tx.update("orders", order, state="FAILED", failed_kind="KILLED")
        tx.update("reservation", reserved, released_at=tx.now)

    database.write(book)
    size = next(k["size_micros"] for k in database.table("orders").values() if k["side"] == "SELL")
    return confirm_pb.FillEvent(
        kind=confirm_pb.FILL_KIND_CLOSED, subscription_id=SUB, follower_proxy=WALLET, asset_id="7",
        order_key=key, order_size_micros=size, order_filled_micros=0,
        order_state=common.ORDER_STATE_FAILED, reason=Reason.NOTHING_FILLED,
    )  # fmt: skip


async def test_a_purchase_that_was_undone_is_no_part_of_the_next_slice() -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    database.write(position)
    router = await recovered(database)
    await router.on_facts([buy(1)])
    await journal.build_open_rows(router._pool, 0, older_than_seconds=None)
    (entry,) = database.table("orders").values()
    order_key, bought = entry["order_key"], entry["size_micros"]

    def matched(tx: Transaction) -> None:
        order = tx.get("orders", order_key) or {}
        tx.update("orders", order, state="SUBMITTED", filled_size_micros=bought)
        tx.insert("lot_entry", {
            "follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "cost_micros": 1,
            "order_key": order_key, "trade_id": "t", "size_micros": bought,
        })  # fmt: skip
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=_HELD + bought)

    def undone(tx: Transaction) -> None:
        order = tx.get("orders", order_key) or {}
        reserved = tx.get("reservation", order_key) or {}
        tx.update(
            "orders", order, state="FAILED", failed_kind="SETTLEMENT_FAILED", filled_size_micros=0
        )
        tx.update("reservation", reserved, released_at=tx.now)
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=_HELD)

    database.write(matched)
    await router.on_facts([_sell()])
    assert _sold(database) == [(_HELD + bought) * 3 // 10 // 10_000 * 10_000]
    # The venue had no counterpart; and the purchase fails to settle.
    await router.bookings.on_fill(_killed(database))
    database.write(undone)
    copy = router._state.copies[SELL][SUB]
    router._state.put_copy(SELL, SUB, structs.replace(copy, rest_until_ms=0))
    await router._route(router._state.trades[SELL], "again-1")
    assert _sold(database)[1:] == [_HELD * 3 // 10]
    assert router._state.copies[SELL][SUB].awaited == ()
