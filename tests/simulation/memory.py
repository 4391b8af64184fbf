"""Compare the guard's memory, once nothing goes on any more: its memory has to be what is
committed.

A stop that it knows otherwise than the database does fires late or never, and no invariant of what
is committed tells of one that is missing.
"""

from __future__ import annotations

import asyncio

from msgspec import structs

from launcher.core.invariants import Breach
from services.guard import store
from services.guard.core.trigger import Trigger, lot_of
from services.guard.trigger_cache import with_peak
from services.guard.worker import Guard
from tests.simulation.world import World
from tradingtools.domain.trigger_states import FINAL

_PATIENCE_SECONDS = 8
"""Longer than a process needs to start, and to hear of what is under way."""


async def still_not_as_committed(world: World) -> list[Breach]:
    """The same while no book moves: the next one would wake up what sleeps."""
    for _ in range(_PATIENCE_SECONDS):
        if not not_as_committed(world):
            return []
        await asyncio.sleep(1)
    return not_as_committed(world)


def not_as_committed(world: World) -> list[Breach]:
    """Triggers, and what their lots hold, of which the newest guard knows something else."""
    rows, recorded = world.database.table("trigger").values(), _recorded(world)
    triggers = (with_peak(store.trigger(r), recorded.get(r["id"])) for r in rows)
    texts = (_differs(world, world.guard, trigger) for trigger in triggers if world.guard)
    return [Breach("the guard knows what is committed", text) for text in texts if text]


def _recorded(world: World) -> dict[str, int]:
    """The highest peaks, which rows may not have yet."""
    found: dict[str, int] = {}
    for record in world.database.table("peak_record").values():
        for trigger_id, peak in zip(record["triggers"], record["peaks"], strict=True):
            found[trigger_id] = max(peak, found.get(trigger_id, peak))
    return found


def _differs(world: World, guard: Guard, trigger: Trigger) -> str:
    had = guard._cache.get(trigger.id)
    if trigger.status in FINAL:
        return "" if had is None else f"{trigger.id} has ended, known is {had}"
    if had is None or structs.replace(had, tick=None) != trigger:
        return f"{trigger} is known as {had}"
    lot = world.database.table("lot").get(lot_of(trigger))
    held, shares = guard._cache.shares(lot_of(trigger)), lot["shares_micros"] if lot else 0
    return "" if held == shares else f"the lot of {trigger.id} holds {shares}, known is {held}"
