"""Shares that a wallet brought along, on the real processes: never bought, sold with the leader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.money_path.world import Scene, eventually, world


@pytest_asyncio.fixture
async def path(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Processes of this test alone, a leader and a good book."""
    async with world(database_url, redis_url, tmp_path) as made:
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        yield scene


def _adopt(path: Scene, subscription: str, shares: int, cost: int) -> None:
    """Record it as control does."""
    wallet, asset = path.wallet(1), path.asset
    path.world.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id) values (%s, %s, %s, %s)",
        wallet, asset, subscription, path.condition,
    )  # fmt: skip
    path.world.sql(
        "insert into lot_request (request_id, follower_proxy, asset_id, origin, shares_micros,"
        " cost_micros, evidence, operator, control_seq)"
        " values ('v1', %s, %s, %s, %s, %s, 'seen on the chain', 'ann', 1)",
        wallet, asset, subscription, shares, cost,
    )  # fmt: skip


async def test_mirrored_sale_is_in_proportion_and_buys_nothing(
    path: Scene,
) -> None:
    subscription = await path.subscribe(1)
    by_hand = {
        "side": "BUY", "assetId": path.asset, "conditionId": path.condition, "size": "100",
        "price": "0.4",
    }  # fmt: skip
    await path.world.control("POST", f"/wallets/{path.wallet(1)}/trades", by_hand)
    _adopt(path, subscription, 100_000_000, 40_000_000)

    async def booked() -> bool:
        return bool(path.world.sql("select 1 from lot where shares_micros = 100000000"))

    await eventually(booked)
    path.put(path.trade("SELL", size="250", price="0.49", held="1000"))
    await path.settled(1)
    (order,) = path.orders()
    assert (order["side"], order["filled_size_micros"]) == ("SELL", 25_000_000)
    lot = path.lot()
    assert (lot["shares_micros"], lot["cost_micros"]) == (75_000_000, 30_000_000)
    # A quarter was sold at 0.49 that had cost 0.40.
    assert lot["realised_micros"] == 12_250_000 - 10_000_000
    assert [entry["path"] for entry in await path.posted()] == ["/api/trade/sell"]
