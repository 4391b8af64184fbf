"""Leases in a real database: two processes of one name, and one that stands still with a lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
import pytest

from launcher.embedded import role_url
from services.bots.leases.store import Leases
from tradingtools import clock
from tradingtools.storage.postgres.pool import open_pool

WALLET = f"wal_{'0' * 32}"


@pytest.fixture(autouse=True)
def wallet(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros)"
            " values (%s, 'default', 'a', 'okx', 'demo', 'a', '', 1)",
            (WALLET,),
        )
        connection.execute(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, desired)"
            " values ('bot000000001', 'default', 'a', %s, 'grid', '{}', '{okx:X}', 'RUNNING')",
            (WALLET,),
        )


@asynccontextmanager
async def leases(
    database_url: str, name: str, incarnation: str, lease_ms: int = 60_000
) -> AsyncIterator[Leases]:
    async with open_pool(role_url(database_url, "bots"), name=incarnation, size=2) as pool:
        made = Leases(pool, name, incarnation, lease_ms)
        yield made


async def registered(one: Leases, venues: tuple[str, ...] = ("okx",)) -> bool | None:
    return await one.register(venues=venues, capacity=10, version="1", bots=0, lag_ms=0)


async def test_a_second_process_of_a_name_has_nothing_while_the_first_one_lives(
    database_url: str,
) -> None:
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-1", "second") as second,
    ):
        assert await registered(first) is False
        assert await first.take() == [WALLET]
        assert first.ended_ns == {}, "nobody had it before"
        assert await registered(second) is None
        assert await second.owned() == {}
        assert await second.renew([WALLET]) == {}
        before = await first.owned()
        assert before[WALLET].epoch == 1
        # It has ended, and given its name back, but not its wallet: that is waited for.
        await first.leave()
        assert await registered(second) is False
        assert await second.take() == []
        assert await registered(first) is None
        assert await first.owned() == before


async def test_a_wallet_is_handed_over_to_who_can_its_exchange(database_url: str) -> None:
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-2", "second") as second,
        leases(database_url, "bots-3", "third") as third,
    ):
        await registered(first)
        await first.take()
        await registered(third, ())
        lease = (await first.owned())[WALLET]
        await registered(second)
        assert await first.hand_over(lease, clean=True) == "bots-2"
        taken = (await second.owned())[WALLET]
        assert (taken.epoch, taken.clean) == (2, True)
        assert (await first.renew([WALLET]), await first.owned()) == ({}, {})
        # Nobody else can: it is free, and not clean for whoever comes.
        await first.leave()
        assert await second.hand_over(taken, clean=False) == ""
        assert await second.take() == [WALLET]
        assert (await second.owned())[WALLET].clean is False


@contextmanager
def standing_still(url: str) -> Iterator[None]:
    """Hold a wallet's row as a process does that is stopped within a pipeline of statements."""
    connection = psycopg.connect(url, autocommit=True)
    raw = connection.pgconn
    raw.enter_pipeline_mode()
    lease = f"select from trading_wallet_lease where wallet_id = '{WALLET}' for share"
    for statement in ("begin", lease):
        raw.send_query_params(statement.encode(), None)
    raw.send_flush_request()
    raw.flush()
    try:
        yield
    finally:
        connection.close()


async def test_a_process_that_stands_still_keeps_no_wallet_from_its_next_owner(
    database_url: str,
) -> None:
    async with (
        leases(database_url, "bots-1", "first", lease_ms=1) as first,
        leases(database_url, "bots-2", "second") as second,
    ):
        await registered(first)
        while not await first.take():
            await registered(first)
        with standing_still(role_url(database_url, "bots")):
            async with asyncio.timeout(60):
                while not await second.end_standing():  # noqa: ASYNC110 - it is the test's subject
                    await asyncio.sleep(0.05)
            await registered(second)
            assert await second.take() == [WALLET]
            assert 0 < second.ended_ns[WALLET] < clock.monotonic_ns()
