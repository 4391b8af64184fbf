"""Test that whoever reads documents sees one whole version, whatever becomes of its builder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from tests.enrichment.publishing import build, publish
from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis

COUNT = 1_200
"""Leaders: more than one command writes them."""
MINUTE = 60_000


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.Redis]:
    """A client of an empty server."""
    client = open_redis(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


async def test_no_reader_sees_half_a_version_when_its_builder_dies(
    redis_url: str, client: redis.Redis
) -> None:
    await publish(redis_url, "v0", COUNT)
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.enrichment.publishing", redis_url, str(COUNT),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    seen = set()
    ended = asyncio.ensure_future(dying.communicate())
    async with asyncio.timeout(120):
        while not ended.done():
            version = await documents.version(client, "leaders")
            assert version is not None
            found = await documents.read(client, "leaders", version)
            assert found == documents.Snapshot(version, build(version, COUNT))
            some = await documents.some(client, "leaders", version, ["0", "x", f"{COUNT - 1}"])
            assert some is not None
            assert set(some.by_id) == {"0", f"{COUNT - 1}"}
            seen.add(version)
        died = int((await ended)[0])
    assert died > 20
    assert await documents.version(client, "leaders") == f"v{died + 1}"
    assert "v0" in seen
    # What was never pointed at goes by itself.
    for name in await client.keys("tt:documents:*"):
        assert await client.ttl(name) > 0


async def test_unchanged_documents_are_kept_and_old_versions_go(
    client: redis.Redis,
) -> None:
    first = {"x": b"1", "y": b"2"}
    await documents.publish(client, "leaders", "a", first, stands_ms=60 * MINUTE)
    await documents.publish(
        client, "leaders", "b", {"z": b"4"}, stands_ms=60 * MINUTE, base="a", dropped=["x"]
    )
    found = await documents.read(client, "leaders", "b")
    assert found == documents.Snapshot("b", {"y": b"2", "z": b"4"})
    # For who is reading it.
    assert await documents.read(client, "leaders", "a") == documents.Snapshot("a", first)
    assert 0 < await client.pttl(documents.documents_key("leaders", "a")) <= MINUTE


async def test_second_builder_on_one_version_changes_nothing(
    client: redis.Redis,
) -> None:
    await documents.publish(client, "leaders", "a", {"x": b"1"}, stands_ms=MINUTE)
    await documents.publish(client, "leaders", "b", {"x": b"2"}, stands_ms=MINUTE, base="a")
    with pytest.raises(documents.Superseded):
        await documents.publish(client, "leaders", "c", {"x": b"3"}, stands_ms=MINUTE, base="a")
    assert await documents.version(client, "leaders") == "b"


async def test_upon_a_version_that_is_gone_nothing_is_built(client: redis.Redis) -> None:
    await client.set(documents.pointer_key("leaders"), "a")
    with pytest.raises(documents.Superseded):
        await documents.publish(client, "leaders", "b", {"x": b"1"}, stands_ms=MINUTE, base="a")
    assert await documents.some(client, "leaders", "a", ["x"]) is None
