"""The judge looks at a moment at which nothing changes any more, and at what was set aside."""

from __future__ import annotations

import pytest

from tests.fault import judge
from tests.fault.rig import Rig, sent_copy
from tests.fault.workload import Workload
from tests.money_path.world import Scene, eventually, tx

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_quarantine_holds_only_what_cannot_be_handled(common: Rig) -> None:
    workload = Workload(common, seed=12, leaders=1)
    await workload.prepare()
    workload.send_unreadable()
    await workload.trade(1)
    assert await workload.verdict(40) == []
    # Another row than the one that was sent: this one is missing, and that one is there.
    (row,) = common.world.sql("select id from dead_letter order by id desc limit 1")
    found = judge.quarantine(common.world, {tx()}, row["id"] - 1)
    assert len(found) == 2, found


@pytest.mark.timeout(300)
async def test_an_exit_goes_on_by_itself_until_who_claims_is_stopped(common: Rig) -> None:
    scene = await sent_copy(common)
    await scene.settled(1)
    # Nobody buys there, and the engine believes that somebody does: slice after slice is killed.
    asks = [{"price": "0.50", "size": "1000"}]
    await common.world.control("PUT", f"/books/{scene.asset}", {"asks": asks, "bids": []})
    (row,) = common.world.sql("select count(*) + 1 as decided from decision")
    scene.put(scene.trade("SELL", size="100", price="0.49", held="100"))
    await common.settled(row["decided"])
    quiet = len(scene.orders())

    async def claimed_again() -> bool:
        return len(scene.orders()) > quiet

    # All was decided and nothing was open: a claim comes all the same, in the middle of a look.
    # Its pause may have come to half a minute before there was a quiet moment.
    await eventually(claimed_again, 90)
    async with common.without("router", "guard"):
        await common.settled(row["decided"])
        last = _ends(scene)
        assert await judge.judge(common.world, ()) == []
        assert _ends(scene) == last


def _ends(scene: Scene) -> list[tuple[str, str]]:
    return [(order["order_key"], order["state"]) for order in scene.orders()]
