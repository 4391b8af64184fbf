"""Followers' wallets: told by a real insiders-api, moved by fills, obeyed by the router."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.money_path.world import Scene, World, eventually
from tradingtools.v1 import router_service_pb2 as router_pb
from tradingtools.v1 import router_service_pb2_grpc as router_rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reported(running: World) -> World:
    """A money path whose confirm asks for wallets often."""
    running.kill("confirm")
    running.start("confirm", TT_CONFIRM_BALANCE_MS="200")
    return running


async def _cash(scene: Scene) -> int | None:
    rows = scene.world.sql(
        "select cash_micros from follower_balance where follower_proxy = %s", scene.wallet(1)
    )
    return rows[0]["cash_micros"] if rows else None


async def test_free_cash_limits_entries_and_is_what_is_left(reported: World) -> None:
    scene = reported.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await reported.control("PUT", f"/wallets/{scene.wallet(1)}", {"cash": "14", "mode": "open"})
    subscription = await scene.subscribe(1)

    async def known() -> bool:
        return await _cash(scene) == 14_000_000

    await eventually(known)
    scene.put(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    (order,) = scene.orders()
    left = 14_000_000 - order["filled_notional_micros"] - order["fee_micros"]
    assert await _cash(scene) == left
    assert left < 5_000_000

    # The next copy would cost 10, too.
    async def routed() -> bool:
        return bool(0 < await _previewed(scene) < order["size_micros"])

    await eventually(routed)
    scene.put(scene.trade(size="100", price="0.5"))
    await scene.settled(2)
    _, second = scene.orders()
    assert 0 < second["filled_notional_micros"] + second["fee_micros"] <= left
    assert second["state"] == "CONFIRMED"
    held = reported.sql("select shares_micros from lot where origin = %s", subscription)
    assert held[0]["shares_micros"] == order["filled_size_micros"] + second["filled_size_micros"]

    async def seen() -> bool:
        (row,) = reported.sql(
            "select shares_micros from follower_position where follower_proxy = %s",
            scene.wallet(1),
        ) or [{"shares_micros": 0}]
        return bool(row["shares_micros"] == held[0]["shares_micros"])

    await eventually(seen)
    state = await reported.control("GET", "/state")
    (wallet,) = [b for b in state["balances"] if b["followerProxy"] == scene.wallet(1)]
    assert wallet["cash"] == _text(await _cash(scene))


async def _previewed(scene: Scene) -> int:
    fact = scene.trade(size="100", price="0.5")
    async with scene.world.channel("router") as channel:
        stub: Any = router_rpc.RouterServiceStub(channel)
        answer = await stub.PreviewRoute(router_pb.PreviewRouteRequest(trade=fact))
    return int(answer.previews[0].size_micros)


def _text(micros: int | None) -> str:
    assert micros is not None
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")
