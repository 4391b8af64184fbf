"""Money, stops and halts hold while a stranger tries everything at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.fault import judge
from tests.fault.neighbour import Neighbour
from tests.fault.rig import Rig
from tests.fault.trading import ended
from tests.fault.workload import Workload


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_stranger_gets_nothing_while_money_moves(own: Rig) -> None:
    workload = Workload(own, seed=11)
    await workload.prepare()
    traffic = asyncio.create_task(workload.run(6.0))
    neighbour = Neighbour(own)
    try:
        await neighbour.attack(0.0, workload)
    finally:
        await ended(traffic)
    assert own.world.sql("select 1 from orders where state = 'FAILED' and reason = 'HALTED'")
    await workload.calm()
    await own.settled(workload.decisions, 90)
    assert await judge.judge(own.world, workload.trades.values(), workload.pauses) == []
