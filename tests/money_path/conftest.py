"""One running money path per module; each test has a leader and an asset of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from launcher import temporary
from tests.money_path.world import World, world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    """Processes on an empty database."""
    with temporary.temporary_database(postgres_server, template=migrated_template) as url:
        async with world(url, redis_url, tmp_path_factory.mktemp("world")) as made:
            await made.start_all()
            yield made
