"""Statements that travel together are one transaction: all of them, or none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from tradingtools.storage.postgres.pipeline import pipelined
from tradingtools.storage.postgres.pool import Pool, open_pool

_PUT = "insert into store_identity (name, value) values (%(name)s, 'here') returning name"


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(database_url, name="together", size=1) as opened:
        yield opened


async def _there(pool: Pool) -> set[str]:
    async with pool.connection() as connection:
        cursor = await connection.execute("select name from store_identity where value = 'here'")
        return {row["name"] for row in await cursor.fetchall()}


async def test_all_are_committed_when_the_block_ends(pool: Pool) -> None:
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        first = pipeline.queue(_PUT, {"name": "a"})
        pipeline.queue(_PUT, {"name": "b"})
        assert await first.rows() == [{"name": "a"}], "read before the block ends"
        last = pipeline.queue(_PUT, {"name": "c"})
    assert await last.rows() == [{"name": "c"}]
    assert await _there(pool) == {"a", "b", "c"}


async def _put_twice(pool: Pool, *, read: bool) -> None:
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        pipeline.queue(_PUT, {"name": "a"})
        pipeline.queue(_PUT, {"name": "a"})
        after = pipeline.queue(_PUT, {"name": "b"})
        if read:
            await after.rows()


@pytest.mark.parametrize("read", [True, False])
async def test_none_is_committed_when_one_fails(pool: Pool, read: bool) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        await _put_twice(pool, read=read)
    assert await _there(pool) == set()


async def _overlook_a_failure(pool: Pool) -> None:
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        pipeline.queue(_PUT, {"name": "a"})
        with pytest.raises(psycopg.errors.UniqueViolation):
            await pipeline.queue(_PUT, {"name": "a"}).rows()


async def test_a_failure_that_was_overlooked_does_not_look_committed(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        await _overlook_a_failure(pool)
    assert await _there(pool) == set()


async def _put_and_refuse(pool: Pool) -> None:
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        await pipeline.queue(_PUT, {"name": "a"}).rows()
        raise LookupError("refused")


async def test_none_is_committed_when_the_block_raises(pool: Pool) -> None:
    with pytest.raises(LookupError):
        await _put_and_refuse(pool)
    assert await _there(pool) == set()
