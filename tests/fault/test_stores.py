"""Stores that have no room left, or come back as they were some time ago."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from tests.fault.failover import Failover
from tests.fault.rig import Rig
from tests.fault.workload import Workload
from tests.money_path.world import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_full_disk_sends_nothing_and_recovers(common: Rig) -> None:
    workload = Workload(common, seed=9)
    await workload.prepare()
    await workload.trade(3)
    await common.settled(workload.decisions)
    before = len(await common.world.journal())
    common.postgres.fill_disk()
    await eventually(lambda: asyncio.to_thread(_refuses_writes, common.world.database_url))
    await workload.trade(6, pause=0.3)
    assert len(await common.world.journal()) == before, "sent what was not durable"
    await asyncio.to_thread(common.postgres.free_disk)
    assert await workload.verdict(40) == []


def _refuses_writes(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=1) as connection:
            connection.execute("create table is_there_room ()")
    except psycopg.Error:
        return True
    return False


@pytest.mark.timeout(300)
async def test_a_stale_replica_promoted_by_sentinel_undoes_no_pause(common: Rig) -> None:
    workload = Workload(common, seed=10)
    await workload.prepare()
    await workload.trade(3)
    failover = Failover(common)
    await failover.prepare()
    failover.fall_behind()
    await workload.pause_while(failover.promote())
    await workload.probe(40)
    assert await workload.verdict(40) == []
    assert workload.pauses
