"""insiders-api contradicts itself: it refuses definitively what it has accepted."""

from __future__ import annotations

from tests.fault.rig import Rig, sent_copy
from tests.money_path.world import eventually


async def test_a_refused_order_that_appears_after_all_is_a_breach_and_is_seen(own: Rig) -> None:
    await own.fault("after_accept", "status", path="buy", status=400, code="MIN_SIZE")
    scene = await sent_copy(own)

    async def seen() -> bool:
        return [order["state"] for order in scene.orders()] == ["RESURRECTED"]

    await eventually(seen, 10)
    (order,) = scene.orders()
    (halt,) = own.world.sql("select scope, subject, mode from halt")
    assert tuple(halt.values()) == ("WALLET", order["follower_proxy"], "REDUCING")

    async def held() -> bool:
        (now,) = scene.orders()
        return bool(now["filled_size_micros"]) and not scene.open_reservations()

    await eventually(held, 10)
    (order,) = scene.orders()
    assert scene.lot()["shares_micros"] == order["filled_size_micros"]
    # The wallet only sells from here on.
    scene.put(scene.trade(size="100", price="0.5"))

    async def stopped() -> bool:
        return [o["reason"] for o in scene.orders() if o["state"] == "FAILED"] == ["HALTED"]

    await eventually(stopped, 10)
    assert len(await scene.posted()) == 1


async def test_a_dead_order_that_can_be_asked_for_later_goes_on(own: Rig) -> None:
    promises = {"idempotency": False, "notAfter": True, "getByKey": False, "void": False}
    await own.world.control("PUT", "/capabilities", promises)
    await own.fault("after_accept", "reset", path="buy")
    scene = await sent_copy(own)

    async def is_in(state: str) -> bool:
        return [order["state"] for order in scene.orders()] == [state]

    await eventually(lambda: is_in("DEAD"), 10)
    assert scene.open_reservations()
    await own.world.control("PUT", "/capabilities", {**promises, "getByKey": True})
    await eventually(lambda: is_in("CONFIRMED"), 15)
    assert not scene.open_reservations()
