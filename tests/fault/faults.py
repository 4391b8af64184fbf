"""Every kind of fault; each ends by itself within seconds."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

import redis.asyncio as redis_client

from tests.fault.failover import Failover
from tests.fault.neighbour import Neighbour
from tests.fault.rig import PROXIED, Rig
from tests.fault.workload import Workload
from tests.money_path.world import SERVICES, eventually
from tests.support.proxy import Direction, Weather

Fault = Callable[[Rig, Workload, random.Random], Awaitable[None]]

_REFUSALS = ("MIN_SIZE", "INSUFFICIENT_BALANCE")
_STATUS = ((500, "INTERNAL"), (502, "UPSTREAM"), (503, "TRADING_DISABLED"), (422, "KEY_REUSED"))
_ROUTES = ("buy", "sell", "get", "void", "any")
_SHAPES = ("malformed", "duplicate_answer", "wrong_key")


async def _misbehave(rig: Rig, rng: random.Random, where: str, kind: str, **fields: object) -> None:
    path = rng.choice(_ROUTES)
    await rig.fault(where, kind, path=path, times=rng.randint(1, 8), **fields)
    await asyncio.sleep(rng.uniform(0.5, 2))


async def error_before(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api answers an error instead of accepting."""
    status, code = rng.choice(_STATUS)
    await _misbehave(rig, rng, "before_accept", "status", status=status, code=code)


async def refusal(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api refuses orders definitively."""
    where, code = rng.choice(("buy", "sell")), rng.choice(_REFUSALS)
    await rig.fault("before_accept", "status", path=where, times=4, status=400, code=code)
    await asyncio.sleep(rng.uniform(0.5, 2))


async def unavailable(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api answers nothing but errors for a while: the breaker opens."""
    await rig.fault(
        "before_accept", "status", path="any", times=None, status=503, code="TRADING_DISABLED"
    )
    await asyncio.sleep(rng.uniform(1, 4))
    await rig.world.control("DELETE", "/faults")


async def error_after(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api accepts and answers an error."""
    status, code = rng.choice(_STATUS)
    await _misbehave(rig, rng, "after_accept", "status", status=status, code=code)


async def silence(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api says nothing, or too late, before or after accepting."""
    where = rng.choice(("before_accept", "after_accept"))
    await _misbehave(rig, rng, where, rng.choice(("reset", "hang", "delay")), ms=2000)


async def misshapen(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api accepts and answers nonsense, dripping, doubled or about another key."""
    await _misbehave(rig, rng, "after_accept", rng.choice((*_SHAPES, "drip")), ms=500)


async def oversized(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api's answer goes on for ever."""
    await rig.fault("after_accept", "oversized", path="buy")
    await asyncio.sleep(1)


async def late_accept(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api answers an error and processes the request later."""
    ms = rng.choice((200, 1500))
    await _misbehave(rig, rng, "before_accept", "late_accept", ms=ms, status=504, code="UPSTREAM")


async def rate_limit(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api asks to wait, shortly or absurdly long."""
    await _misbehave(rig, rng, "before_accept", "rate_limit", ms=rng.choice((50, 600_000)))


async def settlement(rig: Rig, _: Workload, rng: random.Random) -> None:
    """A match is settled only after a retry."""
    await rig.fault("before_accept", "retrying_trade", times=3, path="any")
    await asyncio.sleep(1)


async def promises_withdrawn(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api can be asked for nothing while it does not answer, and promises less later."""
    for on in (False, True):
        promises = {"idempotency": on, "notAfter": on, "getByKey": on, "void": on}
        await rig.world.control("PUT", "/capabilities", promises)
        if not on:
            await silence(rig, _, rng)
            await asyncio.sleep(rng.uniform(0.5, 2))


async def insiders_killed(rig: Rig, _: Workload, rng: random.Random) -> None:
    """insiders-api dies and comes back."""
    await rig.restart_insiders()


async def network(rig: Rig, _: Workload, rng: random.Random) -> None:
    """Bad weather between two processes, or a process and a store."""
    proxy = rig.proxies[rng.choice(PROXIED)]
    proxy.weather = rng.choice(
        (
            Weather(latency_ms=rng.randint(5, 80)),
            Weather(stalled=True),
            Weather(lost=frozenset({Direction.OUT})),
            Weather(lost=frozenset({Direction.BACK})),
            Weather(cut_after=rng.randint(1, 5000)),
        )
    )
    await asyncio.sleep(rng.uniform(0.5, 4))


async def connections_reset(rig: Rig, _: Workload, rng: random.Random) -> None:
    """Every connection to one server is reset, again and again."""
    proxy = rig.proxies[rng.choice(PROXIED)]
    for _again in range(3):
        proxy.reset()
        await asyncio.sleep(rng.uniform(0.05, 0.5))


async def half_open(rig: Rig, _: Workload, rng: random.Random) -> None:
    """A server is gone and its clients are not told."""
    rig.proxies[rng.choice(PROXIED)].half_open()
    await asyncio.sleep(rng.uniform(0.5, 3))


async def refused(rig: Rig, _: Workload, rng: random.Random) -> None:
    """A server cannot be reached."""
    rig.proxies[rng.choice(PROXIED)].refuse()
    await asyncio.sleep(rng.uniform(0.5, 3))


async def process_killed(rig: Rig, _: Workload, rng: random.Random) -> None:
    """kill -9 of one to three processes of the engine."""
    for name in rng.sample(SERVICES, rng.randint(1, 3)):
        if name in rig.world.pids():
            await rig.end(name)
    await asyncio.sleep(rng.uniform(0, 1))


async def process_frozen(rig: Rig, _: Workload, rng: random.Random) -> None:
    """One or two processes stand still, perhaps past their leases."""
    names = [n for n in rng.sample(SERVICES, rng.randint(1, 2)) if n in rig.world.pids()]
    for name in names:
        rig.world.freeze(name)
    await asyncio.sleep(rng.choice((0.5, 2, 6)))
    for name in names:
        rig.world.thaw(name)


async def lease_stolen(rig: Rig, _: Workload, rng: random.Random) -> None:
    """Another owner has held the partition while its owner slept."""
    name = rng.choice(SERVICES)
    if name not in rig.world.pids():
        return
    rig.world.freeze(name)
    rig.world.sql(
        "update partition_lease set epoch = epoch + 1, owner = 'another',"
        " expires_at = clock_timestamp() + make_interval(secs => %s) where role = %s",
        rng.choice((0.3, 3.0)),
        name,
    )
    rig.world.thaw(name)
    await asyncio.sleep(2)


async def twin(rig: Rig, _: Workload, rng: random.Random) -> None:
    """Two executors of one partition at once."""
    rig.world.start("executor", alias="twin", TT_EXECUTOR_LISTEN="127.0.0.1:0")
    await asyncio.sleep(rng.uniform(1, 4))
    if "twin" in rig.world.pids():
        await rig.end("twin")


async def postgres_restarted(rig: Rig, _: Workload, rng: random.Random) -> None:
    """PostgreSQL stops, orderly or not, and comes back."""
    await asyncio.to_thread(rig.postgres.stop, rng.choice((signal.SIGINT, signal.SIGKILL)))
    await asyncio.sleep(rng.uniform(0, 2))
    await asyncio.to_thread(rig.postgres.start)


async def postgres_frozen(rig: Rig, _: Workload, rng: random.Random) -> None:
    """PostgreSQL stands still."""
    rig.postgres.freeze()
    await asyncio.sleep(rng.uniform(0.5, 6))
    rig.postgres.thaw()


async def redis_killed(rig: Rig, _: Workload, rng: random.Random) -> None:
    """Redis dies and comes back with what it had."""
    await asyncio.to_thread(rig.redis.stop, signal.SIGKILL)
    await asyncio.sleep(rng.uniform(0, 2))
    await asyncio.to_thread(rig.redis.start)


async def redis_flushed(rig: Rig, _: Workload, rng: random.Random) -> None:
    """Redis forgets everything."""
    async with redis_client.Redis.from_url(rig.behind_proxy) as client:
        await client.flushall()


async def redis_failed_over(rig: Rig, workload: Workload, _: random.Random) -> None:
    """Sentinel promotes a replica of Redis that has missed the newest writes."""
    failover = Failover(rig)
    await failover.prepare()
    failover.fall_behind()
    await workload.pause_while(failover.promote())


async def disk_full(rig: Rig, _: Workload, rng: random.Random) -> None:
    """PostgreSQL's disk is full for a while."""
    rig.postgres.fill_disk()
    await asyncio.sleep(rng.uniform(0.5, 5))
    await asyncio.to_thread(rig.postgres.free_disk)


async def clock_jumped(rig: Rig, _: Workload, rng: random.Random) -> None:
    """One or all clocks of the engine jump by minutes or hours, and stay wrong."""
    for name in rng.choice((SERVICES, (rng.choice(SERVICES),))):
        if name in rig.world.pids():
            sign = rng.choice((-1, 1))
            await rig.jump_clock(name, sign * rng.choice((60, 900, 7200)) * rng.random())
    await asyncio.sleep(rng.uniform(0, 2))


async def everything_frozen(rig: Rig, _: Workload, rng: random.Random) -> None:
    """All processes of the engine and insiders-api stand still together."""
    names = list(rig.world.pids())
    for name in names:
        rig.world.freeze(name)
    await asyncio.sleep(rng.choice((0.5, 2, 6)))
    for name in names:
        rig.world.thaw(name)


async def pause(rig: Rig, workload: Workload, rng: random.Random) -> None:
    """A subscription is paused and resumed, with a process dying meanwhile."""
    paused = asyncio.create_task(workload.pause_for(0.5))
    name = rng.choice(SERVICES)
    if name in rig.world.pids():
        await rig.end(name)
    await paused


async def several(rig: Rig, workload: Workload, rng: random.Random) -> None:
    """A process dies while the network or insiders-api misbehaves."""
    first = rng.choice((network, error_after, silence, half_open))
    await asyncio.gather(first(rig, workload, rng), process_killed(rig, workload, rng))


async def everything_killed(rig: Rig, _: Workload, rng: random.Random) -> None:
    """All processes of the engine die at once."""

    async def die(name: str) -> None:
        if name in rig.world.pids():
            await rig.end(name)

    await asyncio.gather(*(die(name) for name in SERVICES))

    async def back() -> bool:
        return set(SERVICES) <= set(rig.world.pids())

    await eventually(back)


async def hostile_neighbour(rig: Rig, workload: Workload, rng: random.Random) -> None:
    """A stranger on the machine and at the edge tries everything at once, for seconds."""
    rig.neighbour = rig.neighbour or Neighbour(rig)
    await rig.neighbour.attack(rng.uniform(1, 4), workload)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        error_before, error_after, silence, misshapen, oversized, late_accept, rate_limit,
        settlement, promises_withdrawn, insiders_killed, network, connections_reset, half_open,
        refused, process_killed, process_frozen, lease_stolen, twin, postgres_restarted,
        postgres_frozen, redis_killed, redis_flushed, redis_failed_over, disk_full, clock_jumped,
        pause, several, everything_killed, everything_frozen, hostile_neighbour,
    )
}  # fmt: skip
"""Those that chaos chooses from, by name."""
