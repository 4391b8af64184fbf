"""insiders-api contradicts itself: it refuses definitively what it has accepted."""

from __future__ import annotations

from tests.fault.rig import Rig, promise, sent_copy
from tests.money_path.world import eventually


async def test_refused_order_that_appears_is_a_breach(own: Rig) -> None:
    scene = await sent_copy(own, where="after_accept", kind="status", status=400, code="MIN_SIZE")

    async def seen() -> bool:
        return [order["state"] for order in scene.orders()] == ["RESURRECTED"]

    await eventually(seen)
    (order,) = scene.orders()
    (halt,) = own.world.sql("select scope, subject, mode from halt")
    assert tuple(halt.values()) == ("WALLET", order["follower_proxy"], "REDUCING")

    async def held() -> bool:
        (now,) = scene.orders()
        return bool(now["filled_size_micros"]) and not scene.open_reservations()

    await eventually(held)
    (order,) = scene.orders()
    assert scene.lot()["shares_micros"] == order["filled_size_micros"]
    # The wallet only sells from here on.
    scene.put(scene.trade(size="100", price="0.5"))

    async def stopped() -> bool:
        return [o["reason"] for o in scene.orders() if o["state"] == "FAILED"] == ["HALTED"]

    await eventually(stopped)
    assert len(await scene.posted()) == 1


async def test_a_dead_order_that_can_be_asked_for_later_goes_on(own: Rig) -> None:
    await promise(own, "-B--")
    scene = await sent_copy(own, where="after_accept", kind="reset")

    async def is_in(state: str) -> bool:
        return [order["state"] for order in scene.orders()] == [state]

    await eventually(lambda: is_in("DEAD"))
    assert scene.open_reservations()
    await own.world.control("PUT", "/capabilities", {"getByKey": True})
    await eventually(lambda: is_in("CONFIRMED"))
    assert not scene.open_reservations()
