"""Behind a crowd nobody waits for all of it: who is armed again, and who is due."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from services.guard.core.batches import PATIENT
from tests.unit.guard.test_evaluation import DEEP
from tests.unit.guard.test_meanwhile import GOOD, _Scene
from tradingtools import clock
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction

CROWD = 4 * PATIENT


async def _crowd(scene: _Scene, *, state: str = "FAILED", left: int = 60) -> list[str]:
    """Stops that have fired, and whose exits have ended."""
    stops = []
    for lot in range(1, CROWD + 1):
        scene.lot(lot, 60)
        stops.append(scene.trigger(f"a{lot}", lot, 40))
    await scene.recover()
    await scene.meet(DEEP)
    for lot, stop in enumerate(stops, 1):
        await scene.end_exit(stop, lot, left, state)
    return stops


def _history(scene: _Scene) -> list[tuple[str, str]]:
    events = scene.database.table("trigger_event").values()
    return [(row["trigger_id"], row["to_status"]) for row in events]


async def test_who_is_armed_again_fires_before_all_others_are_armed() -> None:
    scene = _Scene()
    stops = await _crowd(scene)
    before = len(_history(scene))
    await scene.guard.recheck()
    after = [status for _, status in _history(scene)[before:]]
    assert after.index("TRIGGERED") == PATIENT
    assert {scene.status(stop) for stop in stops} == {"TRIGGERED"}


async def test_trigger_rearmed_while_waking_is_judged_in_the_look() -> None:
    scene = _Scene()
    stops = await _crowd(scene)
    scene.guard._writer.schedule_soon(stops)
    await scene.guard.recheck()
    assert {scene.status(stop) for stop in stops} == {"TRIGGERED"}


@pytest.mark.parametrize("ended", [True, False])
async def test_due_time_stop_fires_before_other_triggers(ended: bool) -> None:
    scene = _Scene()
    stops = await _crowd(scene)
    if not ended:
        for row in scene.database.table("orders").values():
            row.update(state="SUBMITTED", failed_kind=None)
    other = CROWD + 1
    scene.lot(other, 60)
    late = scene.trigger("b", other, 0, trigger_type="TIME_STOP", price_micros=None,
                         fire_at_ms=clock.now_ms() + 10**9)  # fmt: skip
    scene.notify(late)
    await scene.guard.refresh()
    before = len(_history(scene))

    def due() -> None:
        trigger = scene.guard._cache.get(late)
        assert trigger is not None
        scene.guard._cache.put(structs.replace(trigger, fire_at_ms=1))

    def made(tx: Any) -> None:
        tx.update("trigger", tx.get("trigger", late), fire_at_ms=1)

    scene.database.write(made)
    scene.moods.at["exit_order"] = due
    await scene.guard.recheck()
    after = _history(scene)[before:]
    assert after.index((late, "TRIGGERED")) <= 2 * PATIENT
    assert {scene.status(stop) for stop in stops} == {"TRIGGERED" if ended else "CLOSING"}


class _Counting(_Scene):
    """It counts how often a trigger that cannot be changed is to fire alone."""

    tries = 0

    def _fire_foreseen(self, tx: Transaction, values: Row) -> list[Row]:
        (order,) = json.loads(values["payload"])["orders"]
        self.tries += order["trigger_id"] in self.refused
        return super()._fire_foreseen(tx, values)


async def test_what_cannot_be_met_is_asked_once_in_each_look() -> None:
    """Not as often as there are portions of others."""
    scene = _Counting()
    await _crowd(scene)
    scene.lot(CROWD + 1, 60)
    stop = scene.trigger("b", CROWD + 1, 40)
    scene.notify(stop)
    scene.books.newest = GOOD
    await scene.guard.refresh()
    scene.books.newest, scene.refused = DEEP, {stop}
    scene.guard._writer.schedule_soon([stop])
    await scene.guard.recheck()
    assert (scene.tries, scene.status(stop)) == (1, "ARMED")
    scene.refused = set()
    await scene.guard.recheck()
    assert scene.status(stop) == "TRIGGERED"
