"""The executors' circuit breaker: shared through PostgreSQL, and what it does to orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.executor import store
from services.executor.breaker import INSIDERS, CircuitBreaker
from services.executor.core.breaker import Policy, prober_name
from tests.ingest.harness import until_health
from tests.money_path.world import Scene, World, eventually, world
from tradingtools.adapters.postgres.pool import Pool, open_pool
from tradingtools.adapters.tasks import cancel_all

DOWN = {"where": "before_accept", "kind": "status", "status": 503, "path": "buy", "seed": 1}
POLICY = Policy(failures=2, open_ms=50, longest_ms=50, probe_ms=60_000)


async def test_one_opens_it_for_all_and_one_of_all_probes(database_url: str) -> None:
    async with open_pool(database_url, name="breaker", size=4) as pool:
        breakers = [CircuitBreaker(pool, f"executor-{n}", POLICY) for n in range(4)]
        first, second = breakers[:2]

        async def closed() -> set[bool]:
            for breaker in breakers:
                await breaker.read()
            return {breaker.closed for breaker in breakers}

        assert await closed() == {True}
        await first.told(503, probe=False)
        await first.told(200, probe=False)
        await first.told(None, probe=False)
        assert await closed() == {True}, "not in a row"
        await first.told(429, probe=False)
        assert await closed() == {False}
        await asyncio.sleep(0.06)
        took = await asyncio.gather(*(breaker.take_probe() for breaker in breakers))
        assert sum(took) == 1
        prober = breakers[took.index(True)]
        await (second if prober is first else first).told(200, probe=False)
        assert await closed() == {False}, "an answer to what left earlier proves nothing"
        await prober.told(200, probe=True)
        assert await closed() == {True}


async def test_an_answer_counts_also_while_the_database_is_away(database_url: str) -> None:
    async with open_pool(database_url, name="breaker", size=1) as pool:
        breaker = CircuitBreaker(pool, "executor-0", POLICY)
        await breaker.read()
        await breaker.told(503, probe=False)
        await breaker.told(503, probe=False)
        assert not breaker.closed
        await asyncio.sleep(0.06)
    # The pool is closed: who asks it gets the error of a database that is away.
    assert not await breaker.take_probe()
    await breaker.told(200, probe=True)
    assert not breaker.closed, "another executor has to know as well"


async def test_a_probe_whose_commit_was_not_heard_of_is_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(database_url, name="breaker", size=2) as pool:
        mine, other = (CircuitBreaker(pool, prober_name(n, 1), POLICY) for n in range(2))
        await leased(pool)
        await opened(mine)
        move = store.move_breaker

        async def unheard(*arguments: Any) -> bool:
            await move(*arguments)
            raise psycopg.OperationalError("the connection is lost")

        await asyncio.sleep(0.06)
        monkeypatch.setattr(store, "move_breaker", unheard)
        assert not await mine.take_probe()
        monkeypatch.setattr(store, "move_breaker", move)
        assert not await probed(other), "it seems to be under way"
        watching = asyncio.create_task(mine.watch(0.01))
        try:
            await eventually(lambda: probed(other))
        finally:
            await cancel_all([watching])


async def test_a_probe_that_is_late_says_nothing_while_another_is_under_way(
    database_url: str,
) -> None:
    async with two_under_way(database_url) as (_, breaker):
        before = breaker.reason
        await breaker.told(None, probe=True)
        await breaker.read()
        assert breaker.reason == before
        assert not breaker.closed
        await breaker.told(200, probe=True)
        assert breaker.closed


@pytest.mark.parametrize("newest", [False, True])
async def test_a_probe_that_was_not_sent_says_nothing_while_a_later_one_is_under_way(
    newest: bool, database_url: str
) -> None:
    async with two_under_way(database_url) as (pool, breaker):
        await breaker.give_back(newest=newest)
        (row,) = await store.fetch(pool, "breaker", dependency=INSIDERS)
        assert row["state"] == ("OPEN" if newest else "HALF_OPEN")
        await breaker.told(200, probe=True)
        assert breaker.closed is not newest


async def test_a_prober_lives_until_another_takes_its_partition_over(database_url: str) -> None:
    async with open_pool(database_url, name="breaker", size=2) as pool:
        mine = CircuitBreaker(pool, prober_name(0, 1), POLICY)
        other = CircuitBreaker(pool, prober_name(1, 1), POLICY)
        await leased(pool)
        await opened(mine)
        await eventually(lambda: probed(mine))
        await other.read()
        assert not await other.take_probe(), "nobody has taken over, so it may still be told"
        async with pool.connection() as connection:
            await connection.execute("update partition_lease set epoch = 2", {})
        await other.read()
        assert await other.take_probe()


async def leased(pool: Pool) -> None:
    """Partition 0 has an owner, who has not renewed for a minute."""
    async with pool.connection() as connection:
        await connection.execute(
            "insert into partition_lease (role, partition, owner, epoch, expires_at)"
            " values ('executor', 0, 'test', 1, now() - interval '1 minute')", {}
        )  # fmt: skip


async def opened(breaker: CircuitBreaker) -> None:
    """Failures have opened it."""
    await breaker.read()
    for _ in range(POLICY.failures):
        await breaker.told(503, probe=False)
    assert not breaker.closed


async def probed(breaker: CircuitBreaker) -> bool:
    """Whether a probe was taken now."""
    await breaker.read()
    return await breaker.take_probe()


@asynccontextmanager
async def two_under_way(database_url: str) -> AsyncIterator[tuple[Pool, CircuitBreaker]]:
    """A breaker whose second probe has left, as the first counts as lost at once."""
    async with open_pool(database_url, name="breaker", size=2) as pool:
        breaker = CircuitBreaker(pool, "executor-0", replace(POLICY, probe_ms=1))
        await opened(breaker)
        for _ in range(2):
            await eventually(lambda: probed(breaker))
        yield pool, breaker


async def test_orders_wait_while_it_is_open_one_finds_out_and_a_dead_prober_holds_nothing_up(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        made.configure(
            TT_EXECUTOR_BREAKER_FAILURES="2",
            TT_EXECUTOR_BREAKER_OPEN_MS="300",
            # A probe that nobody answers is waited for for two minutes.
            TT_EXECUTOR_SUBMIT_TIMEOUT_MS="120000",
            TT_EXECUTOR_BREAKER_LONGEST_MS="120000",
            TT_CONFIRM_ATTEMPTS="1",
            TT_ROUTER_ENTRY_TTL_MS="5000",
        )
        await made.start_all()
        scenes = []
        for _ in range(3):
            scene = made.scene()
            await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
            await scene.subscribe(1)
            scenes.append(scene)
        await made.control("POST", "/faults", DOWN)

        async def opened() -> bool:
            rows = made.sql("select state from breaker")
            return [row["state"] for row in rows] == ["OPEN"]

        for scene in scenes[:2]:
            scene.put(scene.trade(size="100", price="0.5"))
        await eventually(opened)
        away = {"insiders-api": "NOT_SERVING", "postgresql": "SERVING"}
        await until_health(made.target("executor"), away)
        waiting = scenes[2]
        waiting.put(waiting.trade(size="100", price="0.5"))
        # Its probes are all that is sent, each after a pause; it is not sent at once.
        await waiting.settled(1)
        (order,) = waiting.orders()
        assert order["state"] in ("FAILED", "LOST")
        if order["state"] == "FAILED":
            assert (order["failed_kind"], order["reason"]) == ("UNSENT", "EXPIRED")
        await made.control("DELETE", "/faults")
        # From here on an entry is sent, however long executor and breaker take.
        made.kill("router")
        made.start("router", TT_ROUTER_ENTRY_TTL_MS="60000")
        later = made.scene()
        await later.set_book({"0.50": "1000"}, {"0.49": "1000"})
        await later.subscribe(1)
        later.put(later.trade(size="100", price="0.5"))
        await later.settled(1)
        assert later.orders()[0]["state"] == "CONFIRMED"
        assert made.sql("select state, openings from breaker") == [
            {"state": "CLOSED", "openings": 0}
        ]
        await _prober_dies(made, scenes[:2], later)


async def _prober_dies(made: World, scenes: list[Scene], holder: Scene) -> None:
    """kill -9 during the probe: the next life need not wait until it counts as lost."""

    def breaker() -> dict[str, Any]:
        (row,) = made.sql("select state, prober, retry_at_ms from breaker")
        return row

    async def stands(state: str) -> bool:
        return bool(breaker()["state"] == state)

    await made.control("POST", "/faults", DOWN)
    for scene in scenes:
        scene.put(scene.trade(size="100", price="0.5"))
    await eventually(lambda: stands("OPEN"))
    await made.control("DELETE", "/faults")
    await made.control("POST", "/faults", {**DOWN, "kind": "hang", "path": "sell"})
    # An exit is never too late, however long executor and breaker take.
    holder.put(holder.trade("SELL", size="100", price="0.4"))
    await eventually(lambda: stands("HALF_OPEN"))
    hanging = breaker()
    made.kill("executor")
    await made.control("DELETE", "/faults")
    made.start("executor")
    await eventually(lambda: stands("CLOSED"))
    (now,) = made.sql("select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms")
    assert now["ms"] < hanging["retry_at_ms"]
