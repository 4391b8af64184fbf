"""The clocks of the engine's machines jump by minutes and hours; PostgreSQL's goes on.

Before it: `jumping.py`, a process whose clock can be set. A process goes by PostgreSQL's time from
its lease on, so nothing may change: neither what is copied, nor when something is given up or sold.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fault.rig import Rig, promise, rig, sent_copy
from tests.fault.workload import Workload
from tests.money_path.world import SERVICES, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_HOUR = 3600.0
_JUMPS = (300.0, -300.0, 2 * _HOUR, -2 * _HOUR)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def common(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A rig whose entries live longer than anything here takes, and much shorter than a jump."""
    async with rig(
        tmp_path_factory.mktemp("rig"),
        TT_ROUTER_ENTRY_TTL_MS="60000",
        TT_ROUTER_BOOK_TIMEOUT_MS="30000",
    ) as made:
        yield made


async def test_jumping_clocks_double_and_lose_nothing(common: Rig) -> None:
    workload = Workload(common, seed=5)
    await workload.prepare()
    for turn, _ in enumerate(_JUMPS):
        # Each process is off by something else.
        for number, name in enumerate(SERVICES):
            await common.jump_clock(name, _JUMPS[(turn + number) % len(_JUMPS)])
        await workload.probe(40)
        await workload.trade(4)
    assert await workload.verdict(40) == []
    late = common.world.sql("select reason, detail from decision where reason = 'TOO_OLD'")
    assert late == []


async def test_a_fast_clock_gives_no_order_up_that_may_still_arrive(common: Rig) -> None:
    # Without D only the deadline proves that nothing will come: by the far side's clock. Without A
    # it is sent once.
    await promise(common, "-BC-")
    await common.jump_clock("confirm", _HOUR)
    scene = await sent_copy(
        common, where="before_accept", kind="late_accept", status=504, code="UPSTREAM", ms=3500
    )
    await scene.settled(1)
    (order,) = scene.orders()
    assert (order["state"], len(await scene.posted())) == ("CONFIRMED", 1)
    await promise(common, "ABCD")


async def test_time_stop_fires_on_time_whatever_the_guards_clock(common: Rig) -> None:
    scene = await sent_copy(common)
    await scene.settled(1)
    (order,) = scene.orders()
    subscription = str(order["subscription_id"])

    async def in_seconds(seconds: float) -> str:
        due_ms = time.time_ns() // 1_000_000 + round(seconds * 1000)
        return await scene.add_trigger(1, subscription, "TIME_STOP", None, "5", fire_at_ms=due_ms)

    async def fired() -> bool:
        return scene.trigger_status(soon) == "DONE"

    far = await in_seconds(_HOUR / 2)
    for off in (-_HOUR, _HOUR):
        await common.jump_clock("guard", off)
        soon = await in_seconds(1)
        await eventually(fired)
    assert scene.trigger_status(far) == "ARMED"
