"""PostgreSQL and Redis by TLS: the URLs say it, for the processes and for the migration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis.asyncio as redis

from tests.support.certificates import Authority
from tests.support.terminating import terminating
from tradingtools.storage.postgres.migrate import migrate
from tradingtools.storage.postgres.pool import open_pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Ports by which the stores are reached, and who signed what they show."""

    postgres: int
    redis: int
    database: str
    passwords: tuple[str, str]
    """Of PostgreSQL's owner, and of Redis."""
    ours: Authority
    theirs: Authority

    def database_url(self, authority: Authority, mode: str = "verify-full") -> str:
        """As the owner."""
        place = f"postgres:{self.passwords[0]}@127.0.0.1:{self.postgres}/{self.database}"
        return f"postgresql://{place}?sslmode={mode}&sslrootcert={authority.file}"

    def redis_url(self, authority: Authority) -> str:
        """The first database."""
        return (
            f"rediss://:{self.passwords[1]}@127.0.0.1:{self.redis}/0?ssl_ca_certs={authority.file}"
        )


@pytest.fixture
async def stores(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stores]:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    certificate = ours.issue("store")
    async with AsyncExitStack() as stack:
        ports = [
            await stack.enter_async_context(
                terminating(urlsplit(url).port or 0, certificate, postgres=postgres)
            )
            for url, postgres in ((database_url, True), (redis_url, False))
        ]
        yield Stores(
            postgres=ports[0],
            redis=ports[1],
            database=database_url.rpartition("/")[2],
            passwords=(urlsplit(database_url).password or "", urlsplit(redis_url).password or ""),
            ours=ours,
            theirs=theirs,
        )


async def test_postgresql_is_reached_by_tls(stores: Stores) -> None:
    url = stores.database_url(stores.ours)
    assert await asyncio.to_thread(migrate, url) == []
    async with open_pool(url, name="test", size=1) as pool, pool.connection() as connection:
        assert connection.pgconn.ssl_in_use
        cursor = await connection.execute("select count(*) as number from subscription")
        assert await cursor.fetchone() == {"number": 0}


async def test_another_postgresql_is_refused(stores: Stores) -> None:
    for url in (stores.database_url(stores.theirs), stores.database_url(stores.ours, "disable")):
        with pytest.raises(psycopg.OperationalError):
            await asyncio.to_thread(migrate, url)
    with pytest.raises(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(stores.database_url(stores.theirs)):
            pass


async def test_redis_is_reached_by_tls_and_another_one_is_refused(stores: Stores) -> None:
    async with redis.Redis.from_url(stores.redis_url(stores.ours)) as client:
        assert await client.ping()
    plain = stores.redis_url(stores.ours).replace("rediss:", "redis:").partition("?")[0]
    for url in (stores.redis_url(stores.theirs), plain):
        async with redis.Redis.from_url(url, socket_timeout=10) as stranger:
            with pytest.raises(redis.ConnectionError):
                await stranger.ping()
