"""Settings of a process under test."""

from __future__ import annotations

import pytest

from launcher.embedded import role_urls


@pytest.fixture
def environ(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "TT_DATABASE_URL": database_url,
        **role_urls(database_url),
        "TT_ENGINE_OPEN": "true",
        "TT_REDIS_URL": redis_url,
        "TT_BOOKFEED_MARKET_TTL_MS": "1000",
    }
