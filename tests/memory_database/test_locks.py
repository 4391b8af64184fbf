"""Two connections on either database: who waits for whom, and what he sees afterwards.

The same scenes on PostgreSQL and in memory; the services rely on each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.memory_database.cases import CONFIRM, EXECUTOR, MONEY_PATH, ROUTER, Values
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.functions import CONTROL_LOCK
from tradingtools.testing.memory_database.statements import loaded

LEASE: Values = {"role": "executor", "partition": 0, "epoch": 1}
CLAIM: Values = {
    **LEASE, "role": "executor", "record_key": "one", "payload": b'{"orders":[]}',
    "order_count": 0,
}  # fmt: skip
BATCH: Values = {
    **LEASE, "record_key": "batch", "payload": b'{"orders":[],"lease_ms":1}', "control_seq": 0,
    "keys": "", "not_after": 4_000_000_000_000, "orders": "[]",
}  # fmt: skip


class Scene:
    """Two connections."""

    def __init__(self, first: Any, second: Any, control: Any) -> None:
        self.first = first
        self.second = second
        self.lock_control = control


@pytest_asyncio.fixture(params=["postgres", "memory"])
async def scene(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        pool: Any
        if request.param == "postgres":
            pool = await stack.enter_async_context(open_pool(database_url, name="locks", size=2))
        else:
            pool = MemoryPool(MemoryDatabase())
        first = await stack.enter_async_context(pool.connection())
        second = await stack.enter_async_context(pool.connection())

        async def lock_control(connection: Any) -> None:
            if request.param == "postgres":
                await connection.execute("select lock_control_exclusive()")
            else:
                connection._transaction.lock(CONTROL_LOCK)

        made = Scene(first, second, lock_control)
        await call(first, "acquire_lease", role="executor", partition=0, owner="a", ttl_seconds=60)
        yield made


async def call(connection: Any, name: str, file: str = MONEY_PATH, **values: Any) -> list[Any]:
    cursor = await connection.execute(loaded(file)[name], values)
    if getattr(cursor, "description", True) is None:
        return []
    rows: list[Any] = await cursor.fetchall()
    return rows


async def waits(work: Any) -> asyncio.Task[Any]:
    """Start something that has to wait."""
    task: asyncio.Task[Any] = asyncio.ensure_future(work)
    done, _ = await asyncio.wait([task], timeout=0.15)
    assert not done, "it did not wait"
    return task


async def test_a_takeover_waits_for_what_the_owner_commits(scene: Scene) -> None:
    async with scene.first.transaction():
        assert (await call(scene.first, "holds_lease", **LEASE))[0]["held"]
        takeover = await waits(
            call(scene.second, "acquire_lease", role="executor", partition=0, owner="a",
                 ttl_seconds=60)
        )  # fmt: skip
    assert (await takeover)[0]["epoch"] == 2
    assert not (await call(scene.first, "holds_lease", **LEASE))[0]["held"]


async def test_an_owner_stays_the_owner_until_another_takes_over(scene: Scene) -> None:
    """Its lease may have run out because the database was away, and nobody could take it."""
    ours: dict[str, Any] = {"role": "executor", "partition": 1}
    await call(scene.first, "acquire_lease", **ours, owner="a", ttl_seconds=-1)
    assert (await call(scene.first, "holds_lease", **ours, epoch=1))[0]["held"]
    taken = await call(scene.second, "acquire_lease", **ours, owner="b", ttl_seconds=60)
    assert taken[0]["epoch"] == 2
    assert not (await call(scene.first, "holds_lease", **ours, epoch=1))[0]["held"]


async def test_one_books_at_a_time(scene: Scene) -> None:
    async with scene.first.transaction():
        await call(scene.first, "may_book", CONFIRM, epoch=1)
        following = await waits(call(scene.second, "may_book", CONFIRM, epoch=1))
    assert await following


async def test_the_same_record_waits_for_the_other_and_yields(scene: Scene) -> None:
    async with scene.first.transaction():
        assert await call(scene.first, "claim", **CLAIM)
        again = await waits(call(scene.second, "claim", **CLAIM))
    assert await again == []


async def test_the_same_record_is_taken_when_the_other_rolls_back(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the scene is what raises
        async with scene.first.transaction():
            assert await call(scene.first, "claim", **CLAIM)
            again = await waits(call(scene.second, "claim", **CLAIM))
            raise ZeroDivisionError
    assert len(await again) == 1


async def test_submitting_waits_for_a_control_change(scene: Scene) -> None:
    async with scene.first.transaction():
        await scene.lock_control(scene.first)
        submitting = await waits(call(scene.second, "submit_batch", EXECUTOR, **BATCH))
    assert "seq" in (await submitting)[0]["answer"]


async def test_uncommitted_rows_are_nobody_elses(scene: Scene) -> None:
    async with scene.first.transaction():
        await call(scene.first, "claim", **CLAIM)
        assert await call(scene.first, "record_exists", record_key="one")
        assert not await call(scene.second, "record_exists", record_key="one")
    assert await call(scene.second, "record_exists", record_key="one")


async def test_a_savepoint_takes_back_what_came_after_it(scene: Scene) -> None:
    async with scene.first.transaction():
        await call(scene.first, "claim", **CLAIM)
        with pytest.raises(psycopg.Error):  # noqa: PT012
            async with scene.first.transaction():
                await call(scene.first, "claim", **{**CLAIM, "record_key": "two"})
                await call(
                    scene.first, "quarantine", "tradingtools/storage/postgres/dead_letters.sql",
                    stream=None, consumer="c", cursor="", reason="", payload=b"",
                )  # fmt: skip
        assert not await call(scene.first, "record_exists", record_key="two")
    assert await call(scene.second, "record_exists", record_key="one")


async def test_a_failed_transaction_refuses_what_follows(scene: Scene) -> None:
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):  # noqa: PT012
        async with scene.first.transaction():
            with pytest.raises(psycopg.Error):
                await call(
                    scene.first, "quarantine", "tradingtools/storage/postgres/dead_letters.sql",
                    stream=None, consumer="c", cursor="", reason="", payload=b"",
                )  # fmt: skip
            await call(scene.first, "control_seq", ROUTER)


async def test_whoever_closes_a_circle_of_waits_is_refused(scene: Scene) -> None:
    both = asyncio.Barrier(2)

    async def take(connection: Any, names: tuple[str, str]) -> None:
        async with connection.transaction():
            await call(connection, "claim", **{**CLAIM, "record_key": names[0]})
            await both.wait()
            await call(connection, "claim", **{**CLAIM, "record_key": names[1]})

    results = await asyncio.gather(
        take(scene.first, ("one", "two")),
        take(scene.second, ("two", "one")),
        return_exceptions=True,
    )
    assert sum(isinstance(r, psycopg.errors.DeadlockDetected) for r in results) == 1
