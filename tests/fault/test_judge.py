"""The judge looks at a moment at which nothing changes any more."""

from __future__ import annotations

from tests.fault import judge
from tests.fault.rig import Rig, sent_copy
from tests.money_path.world import Scene, eventually


async def test_an_exit_goes_on_by_itself_until_who_claims_is_stopped(own: Rig) -> None:
    scene = await sent_copy(own)
    await scene.settled(1)
    # Nobody buys there, and the engine believes that somebody does: slice after slice is killed.
    asks = [{"price": "0.50", "size": "1000"}]
    await own.world.control("PUT", f"/books/{scene.asset}", {"asks": asks, "bids": []})
    scene.put(scene.trade("SELL", size="100", price="0.49", held="100"))
    await own.settled(2)
    quiet = len(scene.orders())

    async def claimed_again() -> bool:
        return len(scene.orders()) > quiet

    # All was decided and nothing was open: a claim comes all the same, in the middle of a look.
    await eventually(claimed_again)
    async with own.without("router", "guard"):
        await own.settled(2)
        last = _ends(scene)
        assert await judge.judge(own.world, ()) == []
        assert _ends(scene) == last


def _ends(scene: Scene) -> list[tuple[str, str]]:
    return [(order["order_key"], order["state"]) for order in scene.orders()]
