"""A leader who sells while a buy is under way, on the real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.money_path.world import Scene, eventually, world

HUNDRED_SHARES = 52_250_000
"""Budget of 100 shares at the limit of 0.51, the highest fee included."""


@pytest_asyncio.fixture
async def path(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Processes of this test alone, a leader and a good book."""
    async with world(database_url, redis_url, tmp_path) as made:
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        yield scene


async def test_unsent_entry_fails_and_a_sent_one_is_sold(
    path: Scene,
) -> None:
    await path.subscribe(1, sizing_micros=HUNDRED_SHARES)

    # Not sent: the executor is away, and finds what became of the entry when it comes back.
    path.world.kill("executor")
    path.put(path.trade(size="1000", price="0.5"))
    await eventually(lambda: _there(path, "select 1 from journal where order_count > 0"))
    path.put(path.trade("SELL", size="10", price="0.49", held="1000"))
    await path.settled(1)
    (unsent,) = path.orders()
    assert (unsent["failed_kind"], unsent["reason"]) == ("UNSENT", "LEADER_LEFT")
    assert {(d["side"], d["reason"]) for d in path.decisions()} == {
        ("BUY", "LEADER_LEFT"),
        ("SELL", "NOTHING_HELD"),
    }
    assert path.open_reservations() == []
    path.world.start("executor")

    # Sent, and nobody knows yet what it brought; the second buy comes after the sell.
    path.world.freeze("confirm")
    path.put(path.trade(size="1000", price="0.5"))
    await eventually(lambda: _there(path, "select 1 from orders where state = 'SUBMITTED'"))
    path.put(path.trade("SELL", size="500", price="0.49", held="1000"))
    await eventually(
        lambda: _there(path, "select 1 from decision where reason = 'WAITING_FOR_ENTRY'")
    )
    path.put(path.trade(size="1000", price="0.5"))
    await eventually(
        lambda: _there(path, "select 1 from orders having count(*) = 3"),
    )
    # It has to find the pending sell again, and what came meanwhile.
    path.world.kill("router")
    path.world.thaw("confirm")
    await path.settled(3)
    path.world.start("router")
    await path.settled(4)
    await asyncio.sleep(2.5)
    assert [(o["side"], o["filled_size_micros"]) for o in path.orders()] == [
        ("BUY", 0),
        ("BUY", 100_000_000),
        ("BUY", 100_000_000),
        ("SELL", 50_000_000),
    ]
    assert path.lot()["shares_micros"] == 150_000_000
    assert len(await path.posted()) == 3
    assert path.open_reservations() == []


async def _there(path: Scene, query: str) -> bool:
    return bool(path.world.sql(query))
