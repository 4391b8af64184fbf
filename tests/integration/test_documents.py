"""Versioned documents in Redis: the newest whole version, never half of one."""

from __future__ import annotations

import pytest
from redis.exceptions import RedisError

from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis

_MINUTE = 60_000


async def test_half_a_build_is_not_seen(redis_url: str) -> None:
    """A builder that dies before it points to its version leaves the one before."""
    async with open_redis(redis_url) as client:
        await client.flushdb()
        assert await documents.version(client, "leaders") is None
        await documents.publish(client, "leaders", "v1", {"a": b"1", "b": b"2"}, stands_ms=_MINUTE)
        await client.hset(documents.documents_key("leaders", "v2"), "a", b"3")
        newest = await documents.version(client, "leaders")
        assert newest == "v1"
        assert await documents.read(client, "leaders", newest) == documents.Snapshot(
            "v1", {"a": b"1", "b": b"2"}
        )
        assert await documents.read(client, "leaders", "v0") is None
        assert await documents.version(client, "markets") is None


async def test_many_documents_of_a_version(redis_url: str) -> None:
    """They are written in parts, and read as one; each goes by itself."""
    many = {str(number): b"%d" % number for number in range(1_201)}
    async with open_redis(redis_url) as client:
        await client.flushdb()
        await documents.publish(client, "markets", "v1", many, stands_ms=_MINUTE)
        read = await documents.read(client, "markets", "v1")
        assert read is not None
        assert read.by_id == many
        for key in (documents.pointer_key("markets"), documents.documents_key("markets", "v1")):
            assert 0 < await client.pttl(key) <= _MINUTE


async def test_redis_that_is_away_is_told() -> None:
    """Test that who asks decides what that means."""
    async with open_redis("redis://127.0.0.1:1") as client:
        with pytest.raises(RedisError):
            await documents.version(client, "leaders")
