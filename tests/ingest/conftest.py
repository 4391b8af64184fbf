"""Settings of a process under test, on stores of its own."""

from __future__ import annotations

import pytest
import redis

from launcher.embedded import role_urls


@pytest.fixture
def own_redis(redis_url: str) -> str:
    """An empty database of the session's server."""
    url = redis_url.rsplit("/", 1)[0] + "/7"
    client = redis.Redis.from_url(url)
    client.flushdb()
    client.close()
    return url


@pytest.fixture
def environ(database_url: str, own_redis: str) -> dict[str, str]:
    return {
        "TT_DATABASE_URL": database_url,
        **role_urls(database_url),
        "TT_ENGINE_OPEN": "true",
        "TT_REDIS_URL": own_redis,
        "TT_INGEST_RECHECK_MS": "1500",
        "TT_INGEST_POLL_MS": "3000",
    }
