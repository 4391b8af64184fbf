"""Several records, one commit: all that are new are there, or none."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tradingtools.storage.postgres import journal, lease
from tradingtools.storage.postgres.journal import Claim
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool, open_pool

_PARTITION = 731


def _claim(name: str, payload: bytes = b'{"orders": []}') -> Claim:
    return Claim(record_key=f"together-{name}", payload=payload, order_count=1)


async def _records(pool: Pool) -> list[tuple[str, int, str]]:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select record_key, seq, xmin::text as writer from journal where partition = %s"
            " order by seq",
            (_PARTITION,),
        )
        return [(r["record_key"], r["seq"], r["writer"]) for r in await cursor.fetchall()]


async def _owned(pool: Pool) -> Lease:
    async with pool.connection() as connection:
        await connection.execute("delete from journal where partition = %s", (_PARTITION,))
    return await lease.acquire(pool, "router", _PARTITION, "together")


async def test_they_are_one_transaction_in_their_order(database_url: str) -> None:
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        owned = await _owned(pool)
        async with pool.connection() as connection:
            await journal.insert_claim(connection, owned, _claim("2"))
            claimed = await journal.insert_claims(
                connection, owned, [_claim(name) for name in "314"]
            )
        found = await _records(pool)
    assert [name for name, _, _ in found] == [f"together-{n}" for n in "2314"]
    assert len({writer for _, _, writer in found[1:]}) == 1
    assert [one.seq for one in claimed] == [seq for _, seq, _ in found[1:]]


async def test_one_that_is_there_already_leaves_the_others_out(database_url: str) -> None:
    """Also of what a connection left behind: it comes whole, or not at all."""
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        owned = await _owned(pool)
        async with pool.connection() as connection:
            await journal.insert_claim(connection, owned, _claim("2"))
        async with pool.connection() as connection:
            with pytest.raises(psycopg.errors.UniqueViolation):
                await journal.insert_claims(connection, owned, [_claim(name) for name in "324"])
        assert [name for name, _, _ in await _records(pool)] == ["together-2"]
        async with pool.connection() as connection:
            there = await journal.there(connection, ["together-2", "together-3"])
        assert there == {"together-2"}


async def test_one_that_is_refused_takes_all_along(database_url: str) -> None:
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        owned = await _owned(pool)
        async with pool.connection() as connection:
            bad = replace(_claim("6"), order_count=-(2**31) - 1)
            with pytest.raises(psycopg.Error):
                await journal.insert_claims(connection, owned, [_claim("5"), bad])
        assert await _records(pool) == []
        async with pool.connection() as connection:
            assert len(await journal.insert_claims(connection, owned, [_claim("5")])) == 1


async def test_who_does_not_own_the_partition_writes_none(database_url: str) -> None:
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        owned = await _owned(pool)
        async with pool.connection() as connection:
            with pytest.raises(Fenced):
                await journal.insert_claims(
                    connection, replace(owned, epoch=owned.epoch - 1), [_claim("7"), _claim("8")]
                )
        assert await _records(pool) == []
