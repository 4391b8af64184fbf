"""Test that what a leader bought and has sold since is not bought after him, however late it is
told.

The feed tells of a sell at once; a buy that it missed is found by catch-up some seconds later. His
exit was judged by then: nobody would sell what is bought now.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.router.worker import Router
from tests.unit.router.test_budget import buy, recovered, subscribe
from tradingtools.domain.leader_trade import LeaderRow, Side, Source
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction

_BOUGHT = 10**9


def _buy(number: int, seconds_ago: int, size: int = _BOUGHT) -> LeaderRow:
    fact = buy(number)
    traded_ms = fact.traded_ms - seconds_ago * 1000
    return replace(fact, size_micros=size, traded_ms=traded_ms, source=Source.CATCH_UP)


def _sell(number: int, seconds_ago: int, held: int | None = _BOUGHT) -> LeaderRow:
    fact = _buy(number, seconds_ago)
    return replace(fact, key=replace(fact.key, side=Side.SELL), held_before_micros=held)


async def _started() -> tuple[Router, MemoryDatabase]:
    database = MemoryDatabase()
    database.write(subscribe)
    return await recovered(database), database


async def _reasons(router: Router, database: MemoryDatabase) -> list[str]:
    await router._catch_up()
    rows = database.table("decision").values()
    return [row["reason"] for row in rows if row["side"] == "BUY"]


@pytest.mark.parametrize("held", [_BOUGHT, 0, None])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_buy_that_is_told_after_its_sell_is_not_copied(
    held: int | None, restart: bool
) -> None:
    router, database = await _started()
    await router.on_facts([_sell(2, 5, held)])
    if restart:
        await router._catch_up()
        router = await recovered(database)
    await router.on_facts([_buy(1, 20)])
    assert await _reasons(router, database) == ["LEADER_LEFT"]
    assert not database.table("orders")


async def test_a_part_that_is_told_after_the_sell_is_not_added() -> None:
    router, database = await _started()

    def more_for_more(tx: Transaction) -> None:
        (row,) = tx.rows("subscription")
        tx.update("subscription", row, sizing_mode="RATIO", sizing_micros=10_000, changed_seq=2)

    database.write(more_for_more)
    await router.refresh_index()
    await router.on_facts([_buy(1, 20)])
    await router._catch_up()
    (entry,) = database.table("orders").values()

    def fills(tx: Transaction) -> None:
        tx.update("orders", entry, state="CONFIRMED", filled_size_micros=entry["size_micros"])

    database.write(fills)
    await router.on_facts([_sell(2, 5)])
    await router.on_facts([_buy(1, 20, size=2 * _BOUGHT)])
    assert await _reasons(router, database) == ["LEADER_LEFT"]
    assert len(database.table("orders")) == 1


@pytest.mark.parametrize(
    ("held", "bought_ago"),
    [
        pytest.param(_BOUGHT, 2, id="bought after it"),
        pytest.param(_BOUGHT, 5, id="in the same second: nobody knows"),
        pytest.param(2 * _BOUGHT, 20, id="he kept some"),
    ],
)
async def test_what_he_may_still_hold_is_copied(held: int, bought_ago: int) -> None:
    router, database = await _started()
    sell = _sell(2, 5, held)
    await router.on_facts([sell])
    bought = replace(_buy(1, 0), traded_ms=sell.traded_ms + 5000 - bought_ago * 1000)
    await router.on_facts([bought])
    assert await _reasons(router, database) == [""]
