"""A running router that reads while something is booked knows afterwards what a new one would.

Whatever it reads, and wherever the booking comes: what was read before it must not take the place
of what it told, or caps and budgets are too wide until the next booking of that wallet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.router.worker import Router
from tests.unit.router.test_budget import SUB, WALLET, buy, fund, recovered, subscribe
from tests.unit.router.test_while_waiting import turns
from tests.unit.samples import CONDITION
from tradingtools.domain.leader_trade import merge
from tradingtools.testing.memory_database import MemoryDatabase, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_USDC = 1_000_000
_LOT = {"follower_proxy": WALLET, "asset_id": "7", "origin": SUB}


class Halting(NoFaults):
    """Keeps the answer to the n-th statement back until it is let go."""

    def __init__(self) -> None:
        self.left = 0
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def reply(self, _what: str) -> None:
        self.left -= 1
        if self.left == 0:
            self.reached.set()
            await self.go.wait()


def _holds(tx: Transaction) -> None:
    """A lot of before, and a wallet whose cash is known."""
    tx.insert(
        "lot",
        {
            **_LOT, "condition_id": CONDITION, "shares_micros": 8 * _USDC, "cost_micros": 4 * _USDC,
            "bought_notional_micros": 4 * _USDC, "bought_size_micros": 8 * _USDC,
        },
    )  # fmt: skip
    tx.insert("follower_balance", {"follower_proxy": WALLET, "cash_micros": 50 * _USDC})


def _filled(database: MemoryDatabase, order_key: str) -> list[confirm_pb.FillEvent]:
    """An entry fills whole and ends: confirm books it and tells this."""
    reported: list[confirm_pb.FillEvent] = []
    database.write(lambda tx: reported.extend(_book(tx, order_key)))
    return reported


def _book(tx: Transaction, order_key: str) -> list[confirm_pb.FillEvent]:
    order = tx.get("orders", order_key) or {}
    reserved = tx.get("reservation", order_key) or {}
    lot, wallet = tx.get("lot", *_LOT.values()) or {}, tx.get("follower_balance", WALLET) or {}
    size, money = order["size_micros"], reserved["money_micros"]
    cost = lot["cost_micros"] + money
    tx.update(
        "lot", lot, cost_micros=cost, shares_micros=lot["shares_micros"] + size,
        bought_notional_micros=lot["bought_notional_micros"] + money,
    )  # fmt: skip
    tx.update("reservation", reserved, released_at=tx.now)
    tx.update("orders", order, state="CONFIRMED", filled_size_micros=size)
    cash = wallet["cash_micros"] - money
    tx.update("follower_balance", wallet, cash_micros=cash, changed_at=tx.now)
    kinds = ((confirm_pb.FILL_KIND_MATCHED, "MATCHED"), (confirm_pb.FILL_KIND_CLOSED, "CLOSED"))
    return [
        confirm_pb.FillEvent(
            fill_seq=_booked(tx, order_key, name, cost), kind=kind, subscription_id=SUB,
            follower_proxy=WALLET, condition_id=CONDITION, asset_id="7", lot_cost_micros=cost,
            order_key=order_key, order_size_micros=size, order_filled_micros=size,
            order_state=common.ORDER_STATE_CONFIRMED,
        )
        for kind, name in kinds
    ]  # fmt: skip


def _booked(tx: Transaction, order_key: str, kind: str, cost: int) -> int:
    amounts = dict.fromkeys(("size_micros", "notional_micros", "fee_micros", "realised_micros"), 0)
    order = {"order_state": "CONFIRMED", "order_filled_micros": 0, "lot_shares_micros": 1}
    row = {
        "kind": kind,
        "order_key": order_key,
        "trade_id": order_key + kind,
        "lot_cost_micros": cost,
    }
    return int(tx.insert("booking", {**row, **amounts, **order})["fill_seq"])


async def _catch_up(router: Router) -> None:
    """As after a claim whose commit was not heard."""
    async with router._claim_lock:
        await router._catch_up()


async def _look_at_balances(router: Router) -> None:
    await router._ledger_sync.read_balances(seconds=60.0)


async def _follow(router: Router, fills: list[confirm_pb.FillEvent]) -> None:
    for fill in fills:
        await router.bookings.on_fill(fill)


_WORK: dict[str, Callable[[Router], Awaitable[None]]] = {
    "catching up": _catch_up,
    "the first funding": Router.refresh_index,
    "another funding": Router.refresh_index,
    "balances": _look_at_balances,
}


@pytest.mark.parametrize("what", [*_WORK, "an earlier booking"])
async def test_it_knows_what_a_new_one_would(what: str) -> None:
    statement = 0
    while True:
        database, halting = MemoryDatabase(), Halting()
        for write in (subscribe, _holds):
            database.write(write)
        if what != "the first funding":
            database.write(fund(100 * _USDC, before=0))
        router = await recovered(database, halting)
        await router.on_facts([buy(1), buy(2)])
        await _catch_up(router)
        first, second = (str(key) for (key,) in database.table("orders"))
        if "funding" in what:
            database.write(fund(120 * _USDC, before=0))
        statement += 1
        if what in _WORK:
            halting.left = statement
            work = _WORK[what](router)
        else:
            earlier = _filled(database, first)
            halting.left = statement
            work = _follow(router, earlier)
        working = asyncio.ensure_future(work)
        reached = asyncio.create_task(halting.reached.wait())
        await asyncio.wait([working, reached], return_when=asyncio.FIRST_COMPLETED)
        if not reached.done():
            reached.cancel()
            break
        # A booking, which is told while the answer to what was read before is on its way.
        telling = asyncio.create_task(_follow(router, _filled(database, second)))
        await turns()
        halting.go.set()
        await asyncio.gather(working, telling)
        assert _known(router) == _known(await recovered(database)), (what, statement)
    assert statement > 1


def _known(router: Any) -> Any:
    trade = merge(None, buy(3))
    assert trade is not None
    (follower,) = router._state.index.followers_of(trade.key.leader)
    return router._state.exposures(trade, trade.traded_ms)(follower)


async def test_look_without_funding_waits_for_no_read_of_money() -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    router = await recovered(database)
    async with router._ledger_sync._reading, asyncio.timeout(5):
        await router.refresh_index()


class Counting(NoFaults):
    """Counts statements."""

    def __init__(self) -> None:
        self.count = 0

    async def reply(self, _what: str) -> None:
        self.count += 1


async def test_money_is_read_for_movements_not_for_finality() -> None:
    database, counting = MemoryDatabase(), Counting()
    for write in (subscribe, _holds):
        database.write(write)
    database.write(fund(100 * _USDC, before=0))
    router = await recovered(database, counting)
    await router.on_facts([buy(1)])
    await _catch_up(router)
    ((key,),) = database.table("orders")
    matched, closed = _filled(database, str(key))
    final = confirm_pb.FillEvent()
    final.CopyFrom(matched)
    final.kind = confirm_pb.FILL_KIND_CONFIRMED

    async def statements(fill: confirm_pb.FillEvent) -> int:
        fill.fill_seq = router._state.booked_to + 1
        before = counting.count
        await router.bookings.on_fill(fill)
        return counting.count - before

    assert [await statements(fill) for fill in (matched, final, closed)] == [2, 0, 2]
