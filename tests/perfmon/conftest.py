"""The money path with control and perfmon beside it, one for each module."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from launcher import temporary
from launcher.ports import free_port
from tests.money_path.world import World, world

TOKEN = "d4" * 32
CONFIRM_MS = 400


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
            inside = f"127.0.0.1:{free_port()}"
            digest = hashlib.sha256(TOKEN.encode()).hexdigest()
            made.configure(
                TT_CONTROL_LISTEN=f"127.0.0.1:{free_port()}",
                TT_CONTROL_INTERNAL_LISTEN=inside,
                TT_CONTROL_TOKENS=f"perfmon:internal:{digest}",
                TT_PERFMON_CONTROL_TARGET=inside,
                TT_PERFMON_CONTROL_TOKEN=TOKEN,
                TT_PERFMON_CONFIRM_TARGET=made.target("confirm"),
                TT_PERFMON_BOOKFEED_TARGET=f"127.0.0.1:{made.upstream.port}",
                TT_PERFMON_CONFIRM_MS=str(CONFIRM_MS),
                TT_PERFMON_DOUBT_SECONDS="1",
            )
            await made.start_all()
            made.start("control")
            made.start("perfmon")
            yield made
