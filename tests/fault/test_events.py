"""The log of events over kill -9 of every process: whole, gapless, and the same made again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import psycopg
import pytest

from launcher.ports import free_port
from services.events import store
from tests.fault.rig import Rig, rig
from tests.fault.trading import ended
from tests.fault.workload import Workload
from tests.money_path.world import SERVICES, eventually
from tradingtools.domain.event_types import EventType

_EVENTS = "select * from event order by number"
_LIVES = {EventType.ENGINE_STARTED, EventType.ENGINE_STOPPED}
_RATE = 12.0
_PROCESSES = (*SERVICES, "events", "events")


async def _complete(rig: Rig) -> None:
    """Wait until the log has all that the tables have."""

    async def caught_up() -> bool:
        (row,) = rig.world.sql(
            "select (select last_value from log_number_seq) as newest, log_number"
            " from event_log_position"
        )
        return bool(row["newest"] == row["log_number"])

    await eventually(caught_up)


async def _killed(rig: Rig, kills: int, seed: int) -> None:
    """Trade while processes die, each in its turn, at random moments; then come to rest."""
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    workload = Workload(rig, seed)
    await workload.prepare()
    traffic = asyncio.create_task(workload.run(_RATE))
    try:
        for number in range(kills):
            await asyncio.sleep(rng.uniform(0.1, 0.6))
            await rig.end(_PROCESSES[number % len(_PROCESSES)])
    finally:
        await ended(traffic)
    await workload.calm()
    await rig.settled(workload.decisions, 90)


async def _hold(tmp_path: Path, kills: int, seed: int) -> None:
    async with rig(tmp_path) as made:
        made.world.ports["events"] = free_port()
        made.world.configure(TT_EVENTS_LISTEN=made.world.target("events"))
        made.world.start("events")
        await _killed(made, kills, seed)
        async with made.without("router", "guard", "confirm", "executor"):
            await _complete(made)
            live = made.world.sql(_EVENTS)
            async with made.without("events"):
                with psycopg.connect(made.world.database_url) as owner:
                    store.forget(owner)
            await _complete(made)
            again = made.world.sql(_EVENTS)
            assert again[: len(live)] == live
            # That it was stopped to be made again, and has begun.
            assert {row["type"] for row in again[len(live) :]} <= _LIVES
        assert [row["number"] for row in again] == list(range(1, len(again) + 1))
        _every_end_is_told(made)


def _every_end_is_told(rig: Rig) -> None:
    """Each order that has ended has one event of it, and each fill has one."""
    rows = rig.world.sql(
        "select o.order_key, o.state from orders o where o.state in ('CONFIRMED', 'FAILED')"
        " and not exists (select 1 from event e where e.subject = 'orders/' || o.order_key"
        "  and e.type = any(%s))",
        [EventType.ORDER_SETTLED, EventType.ORDER_CANCELLED, EventType.ORDER_FAILED],
    )
    assert rows == []
    (fills,) = rig.world.sql(
        "select (select count(*) from booking where kind = 'MATCHED') as booked,"
        " (select count(*) from event where type = any(%s)) as told",
        [EventType.ORDER_FILLED, EventType.ORDER_PARTIALLY_FILLED],
    )
    assert fills["told"] == fills["booked"] > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_log_over_a_few_kills_of_each_process(tmp_path: Path) -> None:
    await _hold(tmp_path, kills=6, seed=5)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_the_log_over_sixty_kills_of_each_process(tmp_path: Path) -> None:
    await _hold(tmp_path, kills=60 * len(_PROCESSES), seed=6)
