"""Enrichment as a process, with everything around it real but the log: that is what a test says.

PostgreSQL, Redis and ClickHouse's engine are real; ClickHouse's faults are switched on by role.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import psycopg
import redis.asyncio as redis
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg.rows import dict_row

from launcher.embedded import role_urls
from launcher.engine_tokens import engine_tokens
from launcher.ports import free_port
from tests.alerts.world import WAIT_SECONDS, Log, eventually
from tests.enrichment.conftest import as_role
from tests.support.prepared import Popen
from tradingtools.rpc import callers, transport
from tradingtools.settings import SharedSettings
from tradingtools.storage.analytics.port import T
from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis
from tradingtools.v1 import enrichment_pb2
from tradingtools.v1 import event_service_pb2_grpc as rpc

__all__ = ["Trade", "World", "eventually", "world"]


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the product's table of trades."""

    wallet: str
    tx: str
    asset_id: str
    condition_id: str
    side: str = "BUY"
    price: str = "0.5"
    size: str = "10"
    traded_ms: int
    action: str = "TRADE"
    role: str = "TAKER"
    ordinal: int = 1


class _Wallet(msgspec.Struct, frozen=True, kw_only=True):
    wallet: str
    trades: int
    volume: str
    last_ms: int


class World:
    """One process of enrichment and what is around it."""

    def __init__(self, database_url: str, redis_url: str, server: str, directory: Path) -> None:
        self.log = Log()
        self.server = server
        self.directory = directory
        self.database_url = database_url
        self.port, self.metrics_port = free_port(), free_port()
        self.client: redis.Redis = open_redis(redis_url)
        self.http = httpx.AsyncClient(timeout=60)
        tokens, _ = engine_tokens()
        self.environment = {
            "PATH": os.environ["PATH"],
            **role_urls(database_url),
            **tokens,
            "TT_REDIS_URL": redis_url,
            "TT_CLICKHOUSE_URL": as_role(server, "reader"),
            "TT_CLICKHOUSE_OWN_URL": as_role(server, "writer"),
            "TT_METRICS_PORT": str(self.metrics_port),
            "TT_ENGINE_OPEN": "true",
            "TT_ENRICHMENT_LISTEN": f"127.0.0.1:{self.port}",
            "TT_ENRICHMENT_INTERVAL_SECONDS": "1",
            "TT_ENRICHMENT_SETTLE_MS": "10",
            "TT_ENRICHMENT_QUERY_SECONDS": "2",
            "TT_ENRICHMENT_LATE_SECONDS": "4",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start the process; an empty setting is none."""
        merged = {**self.environment, **settings}
        with (self.directory / "enrichment.log").open("ab") as log:
            self._process = Popen(
                [sys.executable, "-m", "services.enrichment"],
                env={name: value for name, value in merged.items() if value},
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it and wait for its end."""
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(timeout=WAIT_SECONDS)
        self._process = None
        return code

    def said(self) -> str:
        """Its log."""
        return (self.directory / "enrichment.log").read_text()

    def end(self) -> None:
        """End the process if it runs."""
        if self._process is not None:
            self.kill(signal.SIGTERM)

    def sql(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask PostgreSQL."""
        with psycopg.connect(
            self.database_url, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    async def ask(self, sql: str, kind: type[T]) -> list[T]:
        """Ask ClickHouse, whatever fault the roles have."""
        answer = await self._post(f"{sql} format JSONStringsEachRow")
        return msgspec.json.Decoder(kind, strict=False).decode_lines(answer)

    async def put(self, table: str, rows: Sequence[msgspec.Struct]) -> None:
        """Fill a table of the product."""
        lines = b"\n".join(msgspec.json.encode(row) for row in rows).decode()
        await self._post(f"insert into polymarket.{table} format JSONEachRow\n{lines}")

    async def _post(self, sql: str) -> bytes:
        headers = {"X-ClickHouse-User": "admin", "X-ClickHouse-Key": "paper"}
        answer = await self.http.post(self.server, content=sql.encode(), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def trades(self, *rows: Trade) -> None:
        """Have trades, and their wallets among the candidates."""
        await self.put("trades", rows)
        newest = {row.wallet: row.traded_ms for row in rows}
        await self.put(
            "wallets",
            [_Wallet(wallet=w, trades=1, volume="1", last_ms=at) for w, at in newest.items()],
        )

    async def fault(self, role: str, fault: str) -> None:
        """Switch a fault of ClickHouse on, or with `none` off."""
        order = {"user": role, "fault": fault}
        answer = await self.http.post(f"{self.server}/paper/fault", content=json.dumps(order))
        assert answer.status_code == 204, answer.text

    async def leader(self, wallet: str) -> enrichment_pb2.LeaderStatistics | None:
        """Return a leader's document as readers see it."""
        version = await documents.version(self.client, "leaders")
        found = version and await documents.some(self.client, "leaders", version, [wallet])
        body = found.by_id.get(wallet) if found else None
        return None if body is None else enrichment_pb2.LeaderStatistics.FromString(body)

    async def healthy(self) -> bool | None:
        """Return what health checks say of the cache; None: they do not answer."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                reported = await stub.Check(
                    health_pb2.HealthCheckRequest(service="analytical-store"), timeout=5
                )
            except grpc.aio.AioRpcError:
                return None
        return bool(reported.status == health_pb2.HealthCheckResponse.SERVING)

    async def metric(self, name: str) -> float:
        """Return a metric's value; several series are added up."""
        text = (await self.http.get(f"http://127.0.0.1:{self.metrics_port}/metrics")).text
        found = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        assert found, name
        return sum(float(line.rpartition(" ")[2]) for line in found)


@asynccontextmanager
async def world(
    database_url: str, redis_url: str, server: str, directory: Path
) -> AsyncIterator[World]:
    """A world in which nothing has been started yet but what is around the process."""
    made = World(database_url, redis_url, server, directory)
    await made.client.flushdb()
    callers.use(SharedSettings(engine_open=True))
    try:
        async with transport.serving(
            "127.0.0.1:0",
            ["tradingtools.v1.EventService"],
            lambda server: rpc.add_EventServiceServicer_to_server(made.log, server),
            grace_seconds=0.1,
        ) as log:
            made.environment["TT_ENRICHMENT_EVENTS_TARGET"] = f"127.0.0.1:{log.port}"
            yield made
            made.end()
    finally:
        made.end()
        for role in ("reader", "writer"):
            await made.fault(role, "none")
        await made.client.aclose()
        await made.http.aclose()
