"""Test that what an exit still has to sell is the same after a restart or a catching up, and no
more.

Its slices may have ended unsold before, while nobody looked, or without the router having been
told; the leader may have sold long ago.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from msgspec import structs

from services.router.core.router_state import RouterState
from services.router.open_exits import OpenExits
from services.router.worker import Router
from tests.unit.router.test_booked_while_reading import Halting
from tests.unit.router.test_budget import SUB, WALLET, Shelf, buy, recovered, subscribe
from tests.unit.router.test_while_waiting import turns
from tests.unit.samples import CONDITION
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, merge
from tradingtools.domain.reasons import Reason
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.testing.memory_database import MemoryDatabase, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_HELD = 100_000_000
_SOLD = 30_000_000


def position(tx: Transaction) -> None:
    key = {"follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "condition_id": CONDITION}
    tx.insert("lot", {**key, "shares_micros": _HELD, "cost_micros": _HELD // 2})


def _sell() -> LeaderRow:
    fact = buy(2)
    key = replace(fact.key, side=Side.SELL)
    return replace(fact, key=key, size_micros=_SOLD, held_before_micros=_HELD)


SELL = _sell().key


async def _caught_up(router: Router, _database: MemoryDatabase) -> Router:
    async with router._claim_lock:
        await router._catch_up()
    return router


async def _started_again(_router: Router, database: MemoryDatabase) -> Router:
    return await recovered(database)


Again = Callable[[Router, MemoryDatabase], Awaitable[Router]]
both = pytest.mark.parametrize("again", [_caught_up, _started_again])


async def selling(
    sell: LeaderRow | None = None, network: NoFaults | None = None
) -> tuple[Router, MemoryDatabase]:
    """A router that has claimed the first slice of an exit."""
    database = MemoryDatabase()
    database.write(subscribe)
    database.write(position)
    router = await recovered(database, network)
    await router.on_facts([sell or _sell()])
    return router, database


def slices(database: MemoryDatabase) -> list[str]:
    rows = database.table("orders").values()
    return [row["order_key"] for row in sorted(rows, key=lambda row: row["ordinal"])]


def killed(database: MemoryDatabase, filled: int = 0) -> confirm_pb.FillEvent:
    """The newest slice has sold so much and ends: confirm books it and tells this."""
    order_key = slices(database)[-1]

    def book(tx: Transaction) -> None:
        order, held = tx.get("orders", order_key) or {}, tx.get("reservation", order_key) or {}
        tx.update(
            "orders", order, state="FAILED", failed_kind="KILLED", filled_size_micros=filled
        )  # fmt: skip
        tx.update("reservation", held, released_at=tx.now)
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=lot["shares_micros"] - filled)

    database.write(book)
    return confirm_pb.FillEvent(
        kind=confirm_pb.FILL_KIND_CLOSED, subscription_id=SUB, follower_proxy=WALLET, asset_id="7",
        order_key=order_key, order_size_micros=_SOLD, order_filled_micros=filled,
        order_state=common.ORDER_STATE_FAILED, reason=Reason.NOTHING_FILLED,
    )  # fmt: skip


async def _judged_again(router: Router) -> None:
    """When the pause is over."""
    copy = router._state.copies[SELL][SUB]
    router._state.put_copy(SELL, SUB, structs.replace(copy, rest_until_ms=0))
    await router._route(router._state.trades[SELL], "again-1")


def ages(database: MemoryDatabase) -> None:
    """All of it was hours ago."""
    columns = {
        "orders": "created_at", "decision": "updated_at", "leader_row": "seen_at",
        "reservation": "released_at",
    }  # fmt: skip

    def work(tx: Transaction) -> None:
        for table, column in columns.items():
            for row in list(tx.rows(table)):
                if row[column] is not None:
                    tx.update(table, row, **{column: row[column] - timedelta(hours=3)})
        for row in list(tx.rows("leader_row")):
            tx.update("leader_row", row, traded_ms=row["traded_ms"] - 3 * 3_600_000)

    database.write(work)


@both
async def test_a_slice_that_ended_before_it_is_told_is_sold_again_once(again: Again) -> None:
    router, database = await selling()
    reported = killed(database, filled=_SOLD // 3)
    router = await again(router, database)
    await router.bookings.on_fill(reported)
    copy = router._state.copies[SELL][SUB]
    assert (copy.ordered_size_micros, copy.tried) == (_SOLD // 3, 1)


@both
async def test_a_slice_that_was_sold_again_counts(again: Again) -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database))
    await _judged_again(router)
    assert len(slices(database)) == 2
    router = await again(router, database)
    assert router._state.copies[SELL][SUB].ordered_size_micros == _SOLD
    await _judged_again(router)
    assert len(slices(database)) == 2
    await router.bookings.on_fill(killed(database))
    copy = router._state.copies[SELL][SUB]
    assert (copy.ordered_size_micros, copy.tried) == (0, 2)


@both
async def test_a_slice_that_is_open_for_hours_is_known_when_it_ends(again: Again) -> None:
    router, database = await selling()
    ages(database)
    router = await again(router, database)
    await router.bookings.on_fill(killed(database))
    assert router._state.copies[SELL][SUB].ordered_size_micros == 0
    await _judged_again(router)
    assert len(slices(database)) == 2


@both
async def test_slice_killed_hours_ago_is_followed_by_the_next(again: Again) -> None:
    router, database = await selling()
    reported = killed(database, filled=_SOLD // 3)
    ages(database)
    router = await again(router, database)
    await router.bookings.on_fill(reported)
    assert SELL in router._state.open_exits
    await _judged_again(router)
    copy = router._state.copies[SELL][SUB]
    assert (len(slices(database)), copy.ordered_size_micros) == (2, _SOLD)


@both
async def test_an_exit_that_has_waited_for_hours_is_judged_again(again: Again) -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database))

    def nobody_bids(tx: Transaction) -> None:
        (row,) = tx.rows("decision")
        tx.update("decision", row, reason=Reason.PRICE_OUT_OF_RANGE.value)

    database.write(nobody_bids)
    ages(database)
    router = await again(router, database)
    assert SELL in router._state.open_exits
    await _judged_again(router)
    assert len(slices(database)) == 2


def _booked(database: MemoryDatabase, state: str, filled: int) -> confirm_pb.FillEvent:
    """The slice is LOST and its shares given back, or it appears with fills after that."""
    order_key = slices(database)[0]

    def book(tx: Transaction) -> None:
        order, held = tx.get("orders", order_key) or {}, tx.get("reservation", order_key) or {}
        tx.update("orders", order, state=state, filled_size_micros=filled)
        tx.update("reservation", held, released_at=tx.now)
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=lot["shares_micros"] - filled)

    database.write(book)
    return confirm_pb.FillEvent(
        kind=confirm_pb.FILL_KIND_CLOSED, purpose=common.ORDER_PURPOSE_COPY_EXIT,
        subscription_id=SUB, follower_proxy=WALLET, asset_id="7", order_key=order_key,
        order_size_micros=_SOLD, order_filled_micros=filled,
        order_state=common.OrderState.Value(f"ORDER_STATE_{state}"),
    )  # fmt: skip


async def _as_it_is(router: Router, _database: MemoryDatabase) -> Router:
    return router


@pytest.mark.parametrize("again", [_as_it_is, _caught_up, _started_again])
async def test_late_fill_of_a_slice_is_not_sold_again(
    again: Again,
) -> None:
    router, database = await selling()
    await router.bookings.on_fill(_booked(database, "LOST", 0))
    assert router._state.copies[SELL][SUB].ordered_size_micros == 0
    await router.bookings.on_fill(_booked(database, "RESURRECTED", _SOLD // 3))
    router = await again(router, database)
    assert router._state.copies[SELL][SUB].ordered_size_micros == _SOLD // 3
    assert router._state.exit_trade == {}
    await _judged_again(router)
    assert [database.table("orders")[key,]["size_micros"] for key in slices(database)[1:]] == [
        _SOLD - _SOLD // 3
    ]


def _lot(shares: int) -> Callable[[Transaction], None]:
    def put(tx: Transaction) -> None:
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=shares)

    return put


@both
@pytest.mark.parametrize("filled", [0, _SOLD // 3])
async def test_shares_bought_after_the_lot_was_sold_are_kept(again: Again, filled: int) -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database, filled=filled))
    database.write(_lot(0))
    await _judged_again(router)
    router._state.open_exits.clear()
    database.write(_lot(_HELD))
    router = await again(router, database)
    await _judged_again(router)
    assert len(slices(database)) == 1


async def _bought(router: Router, database: MemoryDatabase, number: int, left: int) -> None:
    """An entry has filled, and the lot has so many shares of it."""
    await router.on_facts([buy(number)])
    await router._catch_up()
    (order,) = (row for row in database.table("orders").values() if row["state"] == "CLAIMED")

    def book(tx: Transaction) -> None:
        tx.update("orders", order, state="CONFIRMED", filled_size_micros=order["size_micros"])
        lot = {"follower_proxy": WALLET, "asset_id": "7", "origin": SUB}
        cost = {"order_key": order["order_key"], "trade_id": "t", "cost_micros": 1}
        tx.insert("lot_entry", {**lot, **cost, "size_micros": left})

    database.write(book)


@both
@pytest.mark.parametrize("left", [0, _SOLD // 2])
async def test_of_what_is_bought_within_a_pause_nothing_is_sold(again: Again, left: int) -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    database.write(position)
    router = await recovered(database)
    await _bought(router, database, 1, left)
    await router.on_facts([_sell()])
    await router.bookings.on_fill(killed(database))
    # Others sell all but what is left.
    await _bought(router, database, 3, _HELD)
    database.write(_lot(left + _HELD))
    router = await again(router, database)
    await _judged_again(router)
    sold = [row for row in database.table("orders").values() if row["purpose"] == "COPY_EXIT"]
    assert [row["size_micros"] for row in sold] == [_SOLD, left][: 1 + bool(left)]


class Unknown(Shelf):
    """Has no book of one asset, and is asked for it for long."""

    async def get(self, asset_id: str, **_: Any) -> Book:
        """The usual one of others."""
        if asset_id == "8":
            await asyncio.Event().wait()
        return await super().get(asset_id)


async def test_an_exit_whose_book_cannot_be_had_holds_up_no_other() -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database))
    copy = router._state.copies[SELL][SUB]
    router._state.put_copy(SELL, SUB, structs.replace(copy, rest_until_ms=0))
    router._books = cast(Any, Unknown())
    other = replace(_sell(), key=replace(SELL, asset_id="8"))
    trade = merge(None, other)
    assert trade is not None
    router._state.know(trade)
    router._state.open_exits = {other.key: 0.0, SELL: 0.0}
    judging = asyncio.create_task(router.exits.run())
    for _ in range(20):
        await turns()
    judging.cancel()
    assert len(slices(database)) == 2


async def test_an_exit_whose_lot_is_empty_is_done_without_a_book() -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database, filled=_SOLD // 3))
    database.write(_lot(0))
    copy = router._state.copies[SELL][SUB]
    router._state.put_copy(
        SELL, SUB, structs.replace(copy, rest_until_ms=0, reason=Reason.MARKET_UNKNOWN)
    )
    await router._writer.claim(router._state.trades[SELL], None, "again-1", brief=True)
    assert router._state.judge_exit_in_ms(SELL, clock.now_ms()) is None


async def test_an_exit_of_long_ago_is_not_forgotten_while_it_is_judged() -> None:
    for statement in range(1, 4):
        halting = Halting()
        router, database = await selling(network=halting)
        await router.bookings.on_fill(killed(database, filled=_SOLD // 3))
        copy = router._state.copies[SELL][SUB]
        router._state.put_copy(SELL, SUB, structs.replace(copy, rest_until_ms=0))
        router._state.open_exits[SELL] = 0.0
        halting.left = statement
        judging = asyncio.create_task(router.exits.run())
        await halting.reached.wait()
        router.forget_old(clock.now_ms() + 3 * 3600 * 1000)
        halting.go.set()
        for _ in range(20):
            await turns()
        judging.cancel()
        copy = router._state.copies[SELL][SUB]
        assert (len(copy.order_keys), copy.ordered_size_micros) == (2, _SOLD)


async def test_unjudgeable_exit_blocks_no_other_and_is_retried() -> None:
    memory, judged = RouterState(), asyncio.Event()
    other = replace(_sell(), key=replace(SELL, asset_id="8"))
    for sell in (_sell(), other):
        known = merge(None, sell)
        assert known is not None
        memory.know(known)
        memory.open_exits[sell.key] = 0.0

    async def route(trade: LeaderTrade, _cause: str) -> None:
        if trade.key == SELL:
            raise ValueError("of this one alone")
        await turns()
        judged.set()

    exits = OpenExits(memory, route)
    running = asyncio.create_task(exits.run())
    await asyncio.wait_for(judged.wait(), 10)
    await turns()
    # A round later it would be seen that one has failed.
    memory.open_exits[other.key] = 0.0
    judged.clear()
    await asyncio.wait_for(asyncio.wait({running, asyncio.create_task(judged.wait())},
                                        return_when=asyncio.FIRST_COMPLETED), 10)  # fmt: skip
    assert judged.is_set()
    assert memory.open_exits[SELL] < math.inf
    running.cancel()


async def test_who_is_fenced_judges_no_exit_again() -> None:
    memory = RouterState()
    known = merge(None, _sell())
    assert known is not None
    memory.know(known)
    memory.open_exits[SELL] = 0.0

    async def route(_trade: LeaderTrade, _cause: str) -> None:
        raise Fenced("another's")

    with pytest.raises(Fenced):
        await asyncio.wait_for(OpenExits(memory, route).run(), 10)
