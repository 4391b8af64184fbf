"""Reads by key answer also where a connection broke, or the server has lost its plans."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest

from services.control.store import Store
from tradingtools.storage.postgres.pool import open_pool

_NUMBER = "select %(n)s::int4 as n"
_SECONDS = 120.0


@asynccontextmanager
async def _store(url: str) -> AsyncIterator[Store]:
    async with (
        asyncio.timeout(_SECONDS),
        open_pool(url, name="test", size=3, prompt=True, planned_once=True) as pool,
    ):
        yield Store(pool, cast("Any", None), changes=pool, keyed=pool)


async def _end_connections(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute(
            "select pg_terminate_backend(pid, 20000) from pg_stat_activity"
            " where application_name = 'tradingtools-test'"
        )


async def test_more_reads_than_connections_are_all_answered(database_url: str) -> None:
    async with _store(database_url) as store:
        found = await asyncio.gather(*(store.found(_NUMBER, n=n) for n in range(100)))
        assert found == [[{"n": n}] for n in range(100)]


async def test_connections_that_broke_cost_no_answer(database_url: str) -> None:
    async with _store(database_url) as store:
        assert await store.found(_NUMBER, n=1) == [{"n": 1}]
        await _end_connections(database_url)
        found = await asyncio.gather(*(store.found(_NUMBER, n=n) for n in range(20)))
        assert found == [[{"n": n}] for n in range(20)]


async def test_a_read_that_fails_harms_no_other(database_url: str) -> None:
    divided = "select 1 / %(n)s::int4 as n"
    async with _store(database_url) as store:
        requested = [store.found(divided, n=n) for n in (1, 0, 1, 0, 1)]
        said = await asyncio.gather(*requested, return_exceptions=True)
        assert [said[0], said[2], said[4]] == [[{"n": 1}]] * 3
        assert [type(one) for one in (said[1], said[3])] == [psycopg.errors.DivisionByZero] * 2
        assert await store.found(divided, n=1) == [{"n": 1}]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_lost_plan_costs_no_answer(database_url: str, at_once: int) -> None:
    """The table has another column by now: the server refuses to go on with the old plan."""
    async with (
        _store(database_url) as store,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
    ):
        await other.execute("create table changing (n int4)")
        await other.execute("insert into changing values (1)")

        async def ask() -> list[list[dict[str, object]]]:
            requested = [store.found("select * from changing") for _ in range(at_once)]
            return await asyncio.gather(*requested)

        # All connections of the pool.
        for _ in range(6):
            assert await ask() == [[{"n": 1}]] * at_once
        await other.execute("alter table changing add column m int4")
        for _ in range(6):
            assert await ask() == [[{"n": 1, "m": None}]] * at_once
