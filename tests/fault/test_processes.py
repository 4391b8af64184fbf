"""Processes and stores that die, freeze, restart or lose their memory under load."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import pytest
import redis.asyncio as redis_client

from tests.fault import judge
from tests.fault.rig import Rig
from tests.fault.workload import Workload
from tests.money_path.world import SERVICES, eventually
from tests.support.proxy import Direction, Weather
from tradingtools.storage.postgres import lease

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _loaded(rig: Rig) -> Workload:
    workload = Workload(rig, seed=7)
    await workload.prepare()
    await workload.trade(3)
    return workload


async def _judge(rig: Rig, workload: Workload) -> None:
    await rig.settled(workload.decisions)
    assert await judge.judge(rig.world, workload.trades.values(), workload.pauses) == []


# Before the others, for whom a rig stays up.
@pytest.mark.asyncio(loop_scope="function")
async def test_whoever_slept_through_its_lease_is_fenced_and_restarted(own: Rig) -> None:
    workload = await _loaded(own)
    for name in SERVICES:
        await eventually(partial(_leads, own, name))
        own.world.freeze(name)
        await workload.trade(3)
        # The lease has run out, and another owner holds it for a moment.
        own.world.sql(
            "update partition_lease set epoch = epoch + 1, owner = 'another',"
            " expires_at = clock_timestamp() + interval '500 ms' where role = %s",
            name,
        )
        before = own.restarts[name]
        own.world.thaw(name)

        async def restarted(name: str = name, before: int = before) -> bool:
            return own.restarts[name] > before

        await eventually(restarted)
        await workload.trade(2)
    await _judge(own, workload)
    # Whoever wrote for an old epoch was refused, so epochs are all that changed.
    assert {name: own.restarts[name] for name in SERVICES} == dict.fromkeys(SERVICES, 1)


async def _leads(rig: Rig, name: str) -> bool:
    """Return whether a service has its partition, which takes a busy machine a while to start."""
    rows = rig.world.sql(
        "select 1 from partition_lease where role = %s and owner <> 'another'"
        " and expires_at > clock_timestamp()",
        name,
    )
    return bool(rows)


async def test_insiders_api_killed_and_restarted(common: Rig) -> None:
    workload = await _loaded(common)
    for _ in range(2):
        traffic = asyncio.create_task(workload.trade(8))
        await asyncio.sleep(0.15)
        await common.restart_insiders()
        await traffic
    await _judge(common, workload)


async def test_postgres_restarted_killed_and_frozen(common: Rig) -> None:
    workload = await _loaded(common)
    for number in (signal.SIGINT, signal.SIGKILL):
        traffic = asyncio.create_task(workload.trade(10))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(common.postgres.stop, number)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(common.postgres.start)
        await traffic
    common.postgres.freeze()
    await workload.trade(5, pause=0.3)
    common.postgres.thaw()
    await _judge(common, workload)


async def test_redis_killed_and_flushed_loses_no_control_change(common: Rig) -> None:
    workload = await _loaded(common)
    common.redis.stop(signal.SIGKILL)
    # Nobody can be woken: the router finds the new subscriptions by polling.
    late = Workload(common, seed=8, leaders=1)
    await late.prepare()
    await late.trade(3)
    await asyncio.to_thread(common.redis.start)
    client = redis_client.Redis.from_url(common.behind_proxy)
    await client.flushall()
    await client.aclose()
    await workload.pause_for(0.2)
    await workload.trade(3)
    await common.settled(workload.decisions + late.own_decisions)
    trades = [*workload.trades.values(), *late.trades.values()]
    assert await judge.judge(common.world, trades, workload.pauses) == []
    assert workload.pauses


async def test_all_frozen_together_for_longer_than_their_leases_go_on(common: Rig) -> None:
    workload = await _loaded(common)
    traffic = asyncio.create_task(workload.trade(25, pause=0.3))
    names = list(common.world.pids())
    assert set(names) == {*SERVICES, "insiders"}
    for name in names:
        common.world.freeze(name)
    await asyncio.sleep(lease.TTL_SECONDS + 1)
    for name in names:
        common.world.thaw(name)
    await traffic
    await _judge(common, workload)


async def test_two_executors_of_one_partition_send_nothing_twice(common: Rig) -> None:
    workload = await _loaded(common)
    before = common.restarts["executor"]
    common.world.start("executor", alias="twin", TT_EXECUTOR_LISTEN="127.0.0.1:0")

    async def both_were_fenced() -> bool:
        # The twin takes the lease over, and the executor takes it back when it is started again.
        return common.restarts["executor"] > before and "twin" not in common.world.pids()

    while not await both_were_fenced():
        await workload.trade(4)
    await workload.trade(4)
    await _judge(common, workload)


@pytest.mark.parametrize("between", ["router", "executor", "postgres", "redis", "insiders"])
async def test_a_bad_network_delays_and_loses_nothing(common: Rig, between: str) -> None:
    workload = await _loaded(common)
    proxy = common.proxies[between]
    for weather in (
        Weather(latency_ms=30),
        Weather(stalled=True),
        Weather(lost=frozenset({Direction.BACK})),
        Weather(cut_after=200),
    ):
        proxy.weather = weather
        await workload.trade(3)
        await asyncio.sleep(0.3)
        await proxy.heal()
        await workload.trade(1)
    proxy.half_open()
    await workload.trade(2)
    await proxy.heal()
    proxy.refuse()
    await workload.trade(2)
    await proxy.heal()
    await _judge(common, workload)
