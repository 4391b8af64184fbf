"""A follower sells copied shares by himself: what is left is sold by his stop, and no order is sent
for the rest once confirm has looked, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.simulation.judge import judge, unrest
from tests.simulation.machine import Line
from tests.simulation.workload import Workload
from tests.simulation.world import World

_STEPS = (
    "lots_at_rest", "lock_control", "may_book", "lock_asset", "asset_busy", "asset_entries",
    "set_entries", "correct_lot", "add_correction", "audit_correction", "add_correction_booking",
)  # fmt: skip
_REFUSED = "400 INSUFFICIENT_BALANCE"


def _sold(part: float, *, seed: int = 1) -> World:
    """A lot is bought, a part of it is sold by hand, and a stop-loss fires on the rest."""
    world = World(seed, calm=True)
    world.sells_by_hand = True
    workload = Workload(world)

    def lots() -> list[Any]:
        rows = world.database.table("lot").values()
        return [row for row in rows if row["shares_micros"] >= 20_000_000]

    async def scene(_world: World) -> None:
        await workload.prepare()
        world.start()
        await asyncio.sleep(1)
        while not lots():
            await workload.buy()
            await asyncio.sleep(1)
        await asyncio.sleep(5)
        lot = dict(lots()[0])
        assert world.exchange.sell_by_hand(lot["follower_proxy"], lot["asset_id"], part)
        key = {name: lot[name] for name in ("follower_proxy", "condition_id", "asset_id", "origin")}
        await world.control.add_trigger(
            **key, id=f"trg_{9:032x}", trigger_type="STOP_LOSS", price_micros=990_000
        )
        await asyncio.sleep(100)
        assert unrest(world) == []
        assert judge(world, workload) == []

    world.run(scene)
    return world


def _refusals(world: World) -> int:
    return sum(_REFUSED in text for _, _, text in world.history.events)


@pytest.mark.parametrize("part", [1.0, 0.5])
def test_one_refusal_is_looked_into_and_the_rest_is_sold(part: float) -> None:
    world = _sold(part)
    assert _refusals(world) == 1
    (correction,) = world.database.table("lot_correction").values()
    assert correction["reason"] == "SOLD_ELSEWHERE"
    lot = world.database.table("lot")[
        correction["follower_proxy"], correction["asset_id"], correction["origin"]
    ]
    assert lot["shares_micros"] == 0
    assert (lot["sold_size_micros"] > 0) == (part < 1)
    trigger = world.database.table("trigger")[f"trg_{9:032x}",]
    assert trigger["status"] in ("DONE", "CANCELLED")


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("turn", ["request", "reply"])
def test_confirm_may_be_killed_at_each_step(
    step: str, turn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []
    started: list[str] = []
    travel = getattr(Line, turn)

    async def dies(line: Line, what: str) -> None:
        # Others book, too: the transaction that begins with the audit's lock is meant.
        if what in ("lots_at_rest", "lock_control"):
            started.append(what)
        if line._life.name == "confirm#1" and what == step and started and not killed:
            killed.append(what)
            line._machine.kill("confirm", restart_seconds=0.5)
        await travel(line, what)

    monkeypatch.setattr(Line, turn, dies)
    world = _sold(0.5)
    assert killed
    assert len(world.database.table("lot_correction")) == 1
    lots = world.database.table("lot").values()
    assert sum(row["elsewhere_micros"] for row in lots) > 0
