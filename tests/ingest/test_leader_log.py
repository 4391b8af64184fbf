"""The log of leader trades on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from tradingtools.adapters.redis.leader_log import INCARNATION, STREAM, LeaderLog


@pytest.fixture
async def client(own_redis: str) -> AsyncIterator[redis.Redis]:
    client = redis.Redis.from_url(own_redis)
    yield client
    await client.aclose()


async def test_entries_are_read_in_order_and_written_once(client: redis.Redis) -> None:
    log = LeaderLog(client, length=1_000)
    assert await log.last() == "0-0"
    entries = [(f"5-{number}", bytes([number])) for number in range(5)]
    await log.append(entries[:3])
    await log.append(entries)  # a retry after an answer that was lost
    assert await log.last() == "5-4"
    assert await log.load("0-0", 10) == entries
    assert await log.load("5-1", 2) == entries[2:4]
    assert await log.load("5-4", 2) == []


async def test_a_reader_learns_that_what_it_wants_was_cut(client: redis.Redis) -> None:
    log = LeaderLog(client, length=10)
    assert not await log.was_cut("1-0"), "an empty log has lost nothing"
    await log.append([(f"{ms}-0", b"x") for ms in range(1, 6)])
    assert not await log.was_cut("2-0")
    await log.append([(f"{ms}-0", b"x") for ms in range(6, 1_000)])
    assert await log.was_cut("2-0")
    assert not await log.was_cut("998-0")


async def test_an_incarnation_lasts_until_the_log_is_gone(client: redis.Redis) -> None:
    log = LeaderLog(client, length=10)
    name = await log.incarnation()
    assert await log.incarnation() == await log.present_incarnation() == name
    await client.flushdb()
    assert await log.present_incarnation() is None
    assert await log.incarnation() != name


@pytest.mark.parametrize("foreign", [b"\xff\xfe", b"0123\x00456789abcde", b"", b"a name"])
async def test_what_is_no_name_of_an_incarnation_is_replaced(
    client: redis.Redis, foreign: bytes
) -> None:
    log = LeaderLog(client, length=10)
    await client.set(INCARNATION, foreign)
    assert await log.present_incarnation() is None
    name = await log.incarnation()
    assert len(name) == 16
    assert await log.incarnation() == await log.present_incarnation() == name


async def test_what_is_no_entry_of_ours_is_an_empty_one(client: redis.Redis) -> None:
    log = LeaderLog(client, length=10)
    await log.append([("1-0", b"x")])
    await client.xadd(STREAM, {b"\xff": b"y"}, id="2-0")
    assert await log.load("0-0", 10) == [("1-0", b"x"), ("2-0", b"")]
