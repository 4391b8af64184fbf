"""An exit that cannot be made is judged ever less often, and at once when it may be made again."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

from services.router.core.router_state import RouterState
from services.router.open_exits import OpenExits
from services.router.worker import Router
from tests.unit.router.test_budget import SUB, WALLET, buy, recovered, subscribe
from tests.unit.router.test_exits_caught_up import position
from tests.unit.router.test_unacknowledged import GUARDS, SHARES, all_reserved
from tradingtools import clock
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, merge
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

GROWING = [2, 4, 8, 16, 30, 30]


def sell() -> LeaderRow:
    """The leader sells all."""
    fact = buy(2)
    key = replace(fact.key, side=Side.SELL)
    return replace(fact, key=key, size_micros=SHARES, held_before_micros=SHARES)


SELL = sell().key


async def waits(memory: RouterState, exits: OpenExits, times: int) -> list[int]:
    """Seconds until the sell is judged again, after each of so many judgements."""
    found = []
    for _ in range(times):
        memory.open_exits[SELL] = math.inf
        await exits._judge_again(SELL, asyncio.Semaphore(1))
        found.append(due(memory))
    return found


def due(memory: RouterState) -> int:
    return math.ceil(memory.open_exits[SELL] - clock.monotonic())


async def waiting(lot: Any = all_reserved, books: Any = None) -> Router:
    """A router with a sell that waits, usually for a trigger's sale of all shares."""
    database = MemoryDatabase()
    database.write(subscribe)
    database.write(lot)
    router = await recovered(database)
    router._books = books or router._books
    await router.on_facts([sell()])
    return router


async def test_a_sell_that_waits_for_a_sale_of_which_nothing_is_told() -> None:
    router = await waiting()
    memory = router._state
    assert [due(memory), *await waits(memory, router.exits, 5)] == GROWING


async def test_what_it_waits_for_is_told() -> None:
    router = await waiting()
    memory = router._state
    await waits(memory, router.exits, 5)
    await router.bookings.on_fill(
        confirm_pb.FillEvent(
            kind=confirm_pb.FILL_KIND_CLOSED, subscription_id=SUB, follower_proxy=WALLET,
            asset_id="7", order_key=GUARDS, order_size_micros=SHARES,
            order_state=common.ORDER_STATE_FAILED,
        )
    )  # fmt: skip
    assert due(memory) <= 0
    assert await waits(memory, router.exits, 1) == [2]


async def test_a_sell_without_a_book_is_judged_as_often_as_ever() -> None:
    """Nothing tells that the book is back."""

    class Empty:
        async def get(self, _asset_id: str, **_: Any) -> None:
            return None

    router = await waiting(position, Empty())
    assert await waits(router._state, router.exits, 4) == [2, 2, 2, 2]


async def test_a_sell_that_cannot_be_judged() -> None:
    memory = RouterState()
    known = merge(None, sell())
    assert known is not None
    memory.know(known)
    failing = True

    async def route(_trade: LeaderTrade, _cause: str) -> None:
        if failing:
            raise ValueError("of this one alone")

    exits = OpenExits(memory, route)
    assert await waits(memory, exits, 6) == GROWING
    failing = False
    memory.open_exits[SELL] = math.inf
    await exits._judge_again(SELL, asyncio.Semaphore(1))
    assert (memory.open_exits, exits._vain) == ({}, {})
