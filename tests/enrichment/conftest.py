"""A ClickHouse server for the tests of this directory, and both forms of the analytical store."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from launcher.ports import free_port
from tradingtools.storage.analytics import clickhouse, embedded
from tradingtools.storage.analytics.clickhouse import ClickHouse, statements
from tradingtools.storage.analytics.port import Store

SCHEMA = Path(clickhouse.__file__).parent / "schema" / "polymarket.clickhouse.sql"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a paper ClickHouse, without roles."""
    port, directory = free_port(), tmp_path_factory.mktemp("clickhouse")
    command = ["-m", "paper.clickhouse", "--directory", str(directory), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command])
    url = f"http://127.0.0.1:{port}"
    ends = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/ping").text == "Ok.\n":
                break
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.05)
    yield url
    process.kill()
    process.wait()


def as_role(server: str, role: str) -> str:
    """Return the URL as a role of the paper server."""
    return server.replace("://", f"://{role}:paper@")


@asynccontextmanager
async def writing(server: str) -> AsyncIterator[ClickHouse]:
    """The role that writes, in a server with no rows of before."""
    async with clickhouse.connected(as_role(server, "writer"), timeout_seconds=30) as db:
        for name in ("tradingtools", "polymarket"):
            await db._post(f"drop database if exists {name}".encode(), {})
        for statement in statements(SCHEMA.read_text()):
            await db._post(statement.encode(), {})
        await db.prepare()
        yield db


@pytest.fixture
async def writer(server: str) -> AsyncIterator[ClickHouse]:
    """The role that writes, in a server with no rows of before."""
    async with writing(server) as db:
        yield db


@pytest.fixture
async def reader(server: str, writer: ClickHouse) -> AsyncIterator[ClickHouse]:
    """The role that reads alone."""
    async with clickhouse.connected(as_role(server, "reader"), timeout_seconds=30) as db:
        yield db


@pytest.fixture(params=["clickhouse", "embedded"])
async def analytics(
    request: pytest.FixtureRequest, server: str, tmp_path: Path
) -> AsyncIterator[Store]:
    """The analytical store, in each of its forms."""
    if request.param == "clickhouse":
        async with writing(server) as server_store:
            yield server_store
        return
    async with embedded.opened(tmp_path / "analytics", timeout_seconds=30) as db:
        await db.prepare()
        yield db
