"""The role that reads, on a ClickHouse server that others built: Debian's 18.16 of 2018.

It knows neither our formats nor `getSetting`: what is shown is that its profile, quota and limit of
time are enough for a role that can do nothing else, whatever the client asks for.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from launcher.ports import free_port
from tradingtools.domain.errors import Unavailable
from tradingtools.storage.analytics import clickhouse
from tradingtools.storage.analytics.clickhouse import ClickHouse

ROOT = Path(__file__).resolve().parents[2] / "build" / "clickhouse"
_CONFIG = """<yandex>
  <logger><level>error</level><log>{directory}/log</log><errorlog>{directory}/errors</errorlog></logger>
  <http_port>{port}</http_port><listen_host>127.0.0.1</listen_host>
  <path>{directory}/data/</path><tmp_path>{directory}/tmp/</tmp_path>
  <users_config>{directory}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>5368709120</mark_cache_size>
</yandex>"""
_USERS = """<yandex>
  <profiles>
    <default><max_memory_usage>1000000000</max_memory_usage></default>
    <reads><readonly>1</readonly><max_execution_time>1</max_execution_time></reads>
  </profiles>
  <quotas>
    <default><interval><duration>3600</duration><queries>0</queries></interval></default>
    <few><interval><duration>3600</duration><queries>3</queries></interval></few>
  </quotas>
  <users>
    <writer><password>paper</password><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota></writer>
    <reader><password>paper</password><networks><ip>127.0.0.1</ip></networks>
      <profile>reads</profile><quota>default</quota></reader>
    <limited><password>paper</password><networks><ip>127.0.0.1</ip></networks>
      <profile>reads</profile><quota>few</quota></limited>
  </users>
</yandex>"""


def _program() -> tuple[str, dict[str, str]]:
    """The server, and where its libraries are."""
    installed, fetched = shutil.which("clickhouse-server"), ROOT / "usr" / "sbin"
    if installed is not None:
        return installed, {}
    if not (fetched / "clickhouse-server").exists():
        missing = "no clickhouse-server: make clickhouse, or apt-get install clickhouse-server"
        assert not os.environ.get("CLICKHOUSE_REQUIRED"), missing
        pytest.skip(missing)
    libraries = (ROOT / name / "x86_64-linux-gnu" for name in ("usr/lib", "lib"))
    return str(fetched / "clickhouse-server"), {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a role finds the server: with ROLE instead of its name."""
    program, libraries = _program()
    directory, port = tmp_path_factory.mktemp("server"), free_port()
    config = directory / "config.xml"
    config.write_text(_CONFIG.format(directory=directory, port=port))
    (directory / "users.xml").write_text(_USERS)
    process = subprocess.Popen(
        [program, f"--config-file={config}"], cwd=directory, env={**os.environ, **libraries},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ends = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/ping").text == "Ok.\n":
                break
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < ends
        time.sleep(0.05)
    yield f"http://ROLE:paper@127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
async def reader(url: str) -> AsyncIterator[ClickHouse]:
    """The role that reads a table with one row."""
    async with clickhouse.connected(url.replace("ROLE", "writer"), timeout_seconds=30) as writer:
        for statement in (
            "create database if not exists polymarket",
            "drop table if exists polymarket.trades",
            (
                "create table polymarket.trades (wallet String) engine = MergeTree"
                " order by wallet partition by tuple()"
            ),
            "insert into polymarket.trades values ('0x1')",
        ):
            await writer._post(statement.encode(), {})
    async with clickhouse.connected(url.replace("ROLE", "reader"), timeout_seconds=30) as reader:
        yield reader


@pytest.mark.long
async def test_the_role_reads_and_can_do_nothing_else(reader: ClickHouse) -> None:
    for statement in (
        "insert into polymarket.trades values ('0x2')",
        "drop table polymarket.trades",
        "create table polymarket.x (a Int8) engine = Memory",
        "create database x",
        "alter table polymarket.trades drop column wallet",
        "optimize table polymarket.trades",
        "set readonly = 0",
        "set max_execution_time = 0",
    ):
        with pytest.raises(Unavailable, match=r"Code: 164|readonly"):
            await reader._post(statement.encode(), {})
    assert await reader._post(b"select wallet from polymarket.trades", {}) == b"0x1\n"


@pytest.mark.long
async def test_a_query_ends_by_the_server(reader: ClickHouse) -> None:
    with pytest.raises(Unavailable, match="Code: 159"):
        await reader._post(b"select sum(number) from system.numbers", {})


@pytest.mark.long
async def test_a_quota_is_the_servers(url: str) -> None:
    async with clickhouse.connected(url.replace("ROLE", "limited"), timeout_seconds=30) as reader:
        # Some versions let one more through than the quota says.
        for _ in range(3):
            await reader._post(b"select 1", {})
        with pytest.raises(Unavailable, match="Code: 201"):
            await asyncio.gather(*(reader._post(b"select 1", {}) for _ in range(5)))
