"""Whoever reads the cache sees one whole snapshot, whatever becomes of its publisher."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import msgspec
import pytest
import redis.asyncio as redis

from tests.enrichment.publishing import documents, publish
from tradingtools.storage.redis import enrichment_cache as cache
from tradingtools.storage.redis.client import open_redis
from tradingtools.storage.redis.enrichment_cache import Change, Kind, Pointer

COUNT = 1_200
"""Leaders: more than one command writes or reads at once."""


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.Redis]:
    """A client of an empty server."""
    client = open_redis(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


def pointer(version: str, leaders: int, markets: int = 0) -> Pointer:
    return Pointer(version=version, built_ms=2, as_of_ms=1, leaders=leaders, markets=markets)


async def test_no_reader_sees_a_half_snapshot_whichever_line_the_publisher_dies_at(
    redis_url: str, client: redis.Redis
) -> None:
    await publish(redis_url, "v0", COUNT)
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.enrichment.publishing", redis_url, str(COUNT),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    names, seen = list(documents("", COUNT)), set()
    ended = asyncio.ensure_future(dying.communicate())
    async with asyncio.timeout(120):
        while not ended.done():
            snapshot = await cache.read(client, Kind.LEADER, names)
            assert snapshot is not None
            # All of them, and all of the snapshot that the pointer has named.
            assert snapshot.documents == documents(snapshot.pointer.version, COUNT)
            seen.add(snapshot.pointer.version)
        died = int((await ended)[0])
    assert died > 30
    last = await cache.current(client)
    assert last is not None
    assert last.version == f"v{died + 1}"
    assert "v0" in seen
    # What was never pointed at goes by itself.
    for name in await client.keys("tt:enrichment:*"):
        assert await client.ttl(name) > 0


async def test_what_has_not_changed_is_taken_over(client: redis.Redis) -> None:
    first, second = pointer("a", 2, 1), pointer("b", 2, 1)
    everything = {
        Kind.LEADER: Change({"x": b"1", "y": b"2"}),
        Kind.MARKET: Change({"m": b"3"}),
    }
    await cache.publish(client, first, everything, base=None, stands_seconds=60)
    changes = {Kind.LEADER: Change({"z": b"4"}, frozenset({"x"}))}
    await cache.publish(client, second, changes, base=first, stands_seconds=60)
    found = await cache.read(client, Kind.LEADER, ["x", "y", "z"])
    assert found == cache.Snapshot(second, {"y": b"2", "z": b"4"})
    assert {name async for name in cache.scan(client, second, Kind.MARKET)} == {("m", b"3")}
    assert 0 < await client.ttl(cache.key("a", Kind.LEADER)) <= 60


async def test_of_two_publishers_from_one_base_the_second_changes_nothing(
    client: redis.Redis,
) -> None:
    base = pointer("a", 1)
    change = {Kind.LEADER: Change({"x": b"1"})}
    await cache.publish(client, base, change, base=None, stands_seconds=60)
    await cache.publish(client, pointer("b", 1), change, base=base, stands_seconds=60)
    with pytest.raises(cache.Superseded):
        await cache.publish(client, pointer("c", 1), change, base=base, stands_seconds=60)
    assert await cache.current(client) == pointer("b", 1)


async def test_without_its_base_a_snapshot_is_not_published(client: redis.Redis) -> None:
    gone = pointer("a", 2)
    await client.set(cache.POINTER, msgspec.json.encode(gone))
    with pytest.raises(cache.Incomplete):
        await cache.publish(
            client, pointer("b", 2), {Kind.LEADER: Change({"x": b"1"})}, base=gone, stands_seconds=9
        )
    assert await cache.read(client, Kind.LEADER, ["x"]) is None


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"version": 1}'])
async def test_a_pointer_that_is_none_is_nothing_and_is_replaced(
    client: redis.Redis, body: bytes
) -> None:
    await client.set(cache.POINTER, body)
    assert await cache.current(client) is None
    await cache.publish(
        client, pointer("a", 1), {Kind.LEADER: Change({"x": b"1"})}, base=None, stands_seconds=9
    )
    assert await cache.current(client) == pointer("a", 1)
