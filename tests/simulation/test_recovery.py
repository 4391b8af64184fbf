"""A recovery that takes longer than a lease lasts does not cost the lease."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.machine import Line
from tests.simulation.workload import Workload
from tests.simulation.world import World
from tradingtools.storage.postgres import lease

_SLOW = {"router": "lots", "executor": "abandoned", "guard": "held_lots"}
"""A statement of each recovery."""


@pytest.mark.parametrize("name", _SLOW)
def test_who_recovers_for_long_keeps_its_lease(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1, calm=True)
    workload = Workload(world)
    reply = Line.reply

    async def slow(line: Line, what: str) -> None:
        if what == _SLOW[name]:
            await asyncio.sleep(3 * lease.TTL_SECONDS)
        await reply(line, what)

    monkeypatch.setattr(Line, "reply", slow)

    async def scene(_world: World) -> None:
        await workload.prepare()
        world.start()
        # Something is to be written as soon as it has recovered.
        await asyncio.sleep(2.5 * lease.TTL_SECONDS)
        for _ in range(15):
            await workload.buy()
            await workload.add_trigger()
            await asyncio.sleep(lease.TTL_SECONDS / 10)

    world.run(scene)
    assert any(row["state"] == "CONFIRMED" for row in world.database.table("orders").values())
    ends = [text for _, _, text in world.history.events if text.startswith("ended")]
    assert not ends
    epochs = {key: row["epoch"] for key, row in world.database.table("partition_lease").items()}
    assert epochs[name, 0] == 1
