"""A router does not begin while orders are under way that others have claimed of its wallets."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from services.router.app import run
from services.router.settings import Settings
from tests.integration.test_recent_decisions import put_slice
from tradingtools.runtime.process import Startup
from tradingtools.settings import SharedSettings


async def test_a_start_with_another_number_of_partitions_is_refused(
    database_url: str, redis_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        put_slice(connection, "open", None)
    settings = Settings(
        ingest_target="x:1", bookfeed_target="x:1", confirm_target="x:1", partitions=1000,
        shared=SharedSettings(database_url=database_url, redis_url=redis_url),
    )  # fmt: skip
    with pytest.raises(Startup, match=r"TT_ROUTER_PARTITIONS: 1000 .* of 1 wallets"):
        await asyncio.wait_for(run(settings, asyncio.Event()), 30)
