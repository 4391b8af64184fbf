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
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.tasks import cancel_all

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
        await first.report(503, probe=0)
        await first.report(200, probe=0)
        await first.report(None, probe=0)
        assert await closed() == {True}, "not in a row"
        await first.report(429, probe=0)
        assert await closed() == {False}
        await asyncio.sleep(0.06)
        took = await asyncio.gather(*(breaker.take_probe() for breaker in breakers))
        ((prober, probe),) = [each for each in zip(breakers, took, strict=True) if each[1]]
        await (second if prober is first else first).report(200, probe=0)
        assert await closed() == {False}, "an answer to what left earlier proves nothing"
        await prober.report(200, probe=probe)
        assert await closed() == {True}


async def test_an_answer_counts_also_while_the_database_is_away(database_url: str) -> None:
    async with open_pool(database_url, name="breaker", size=1) as pool:
        breaker = CircuitBreaker(pool, "executor-0", POLICY)
        await breaker.read()
        await breaker.report(503, probe=0)
        await breaker.report(503, probe=0)
        assert not breaker.closed
        await asyncio.sleep(0.06)
    # The pool is closed: who asks it gets the error of a database that is away.
    assert not await breaker.take_probe()
    await breaker.report(200, probe=4)
    assert not breaker.closed, "another executor has to know as well"


@pytest.mark.parametrize("under_way", [False, True], ids=["alone", "another is under way"])
async def test_a_probe_whose_commit_was_not_heard_of_is_given_back(
    under_way: bool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(database_url, name="breaker", size=2) as pool:
        mine, other = (CircuitBreaker(pool, prober_name(n, 1), POLICY) for n in range(2))
        await leased(pool)
        await opened(mine)
        if under_way:
            mine._policy = replace(POLICY, probe_ms=1)
            await until_probed(mine)
            mine._policy = POLICY
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


@pytest.mark.parametrize("end", ["failed", "not sent"])
async def test_probe_reports_unless_there_is_a_later_one(end: str, database_url: str) -> None:
    """The later one does so although the earlier one is under way still."""
    async with under_way(database_url, 3) as (pool, breaker, (_, second, third)):

        async def ended(probe: int) -> None:
            if end == "failed":
                await breaker.report(None, probe=probe)
            else:
                await breaker.give_back(probe)

        await ended(second)
        assert await state(pool) == "HALF_OPEN"
        await ended(third)
        assert await state(pool) == "OPEN"


async def test_passed_probe_closes_the_breaker_despite_a_later_one(
    database_url: str,
) -> None:
    async with under_way(database_url, 2) as (pool, breaker, (first, second)):
        await breaker.report(200, probe=first)
        assert breaker.closed
        await breaker.report(None, probe=second)
        assert await state(pool) == "CLOSED"


async def test_of_those_who_ask_at_once_one_probes_and_keeps_the_probe(database_url: str) -> None:
    async with open_pool(database_url, name="breaker", size=4) as pool:
        breaker = CircuitBreaker(pool, "executor-0", POLICY)
        await opened(breaker)
        await asyncio.sleep(0.06)
        took = await asyncio.gather(*(breaker.take_probe() for _ in range(3)))
        assert len([probe for probe in took if probe]) == 1
        watching = asyncio.create_task(breaker.watch(0.01))
        try:
            await asyncio.sleep(0.1)
        finally:
            await cancel_all([watching])
        assert await state(pool) == "HALF_OPEN", "nobody has given it back"


async def test_row_read_before_a_move_is_ignored_after_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(database_url, name="breaker", size=2) as pool:
        breaker = CircuitBreaker(pool, "executor-0", POLICY)
        await breaker.read()
        fetch = store.fetch
        found, reported = asyncio.Event(), asyncio.Event()

        async def slow(pool: Pool, name: str, **values: Any) -> Any:
            rows = await fetch(pool, name, **values)
            if name == "breaker":
                found.set()
                await reported.wait()
            return rows

        monkeypatch.setattr(store, "fetch", slow)
        reading = asyncio.create_task(breaker.read())
        await found.wait()
        for _ in range(POLICY.failures):
            await breaker.report(503, probe=0)
        reported.set()
        await reading
        assert not breaker.closed
        # A database that has lost a commit is believed, all the same.
        async with pool.connection() as connection:
            await connection.execute(
                "update breaker set version = 1, state = 'CLOSED', prober = ''", {}
            )
        await breaker.read()
        assert breaker.closed


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
        await breaker.report(503, probe=0)
    assert not breaker.closed


async def probed(breaker: CircuitBreaker) -> bool:
    """Return whether a probe was taken now."""
    await breaker.read()
    return bool(await breaker.take_probe())


async def until_probed(breaker: CircuitBreaker) -> int:
    """The next probe, when it is time."""
    async with asyncio.timeout(30):
        while not (probe := await breaker.take_probe()):  # noqa: ASYNC110 - it is a matter of time
            await asyncio.sleep(0.005)
    return probe


@asynccontextmanager
async def under_way(
    database_url: str, count: int
) -> AsyncIterator[tuple[Pool, CircuitBreaker, list[int]]]:
    """A breaker and so many probes that have left, as each counts as lost at once."""
    async with open_pool(database_url, name="breaker", size=2) as pool:
        breaker = CircuitBreaker(pool, "executor-0", replace(POLICY, probe_ms=1))
        await opened(breaker)
        yield pool, breaker, [await until_probed(breaker) for _ in range(count)]


async def state(pool: Pool) -> str:
    """Of the row."""
    (row,) = await store.fetch(pool, "breaker", dependency=INSIDERS)
    return str(row["state"])


async def test_orders_wait_for_one_probe_and_a_dead_prober_is_replaced(
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
