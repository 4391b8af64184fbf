"""A money path with the log of events behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from launcher import temporary
from launcher.ports import free_port
from tests.money_path.world import World, world

_START_SECONDS = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    """Processes on an empty database, the log of events among them."""
    with temporary.temporary_database(postgres_server, template=migrated_template) as url:
        async with world(url, redis_url, tmp_path_factory.mktemp("events")) as made:
            made.ports["events"] = free_port()
            made.configure(TT_EVENTS_LISTEN=made.target("events"))
            await made.start_all()
            made.start("events")
            async with asyncio.timeout(_START_SECONDS), made.channel("events") as channel:
                await channel.channel_ready()
            yield made
