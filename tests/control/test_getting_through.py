"""What stops sending gets through: readers, and whoever stands still, do not take it away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import psycopg

from services.control.reading import Reading
from services.control.store import Store
from tests.control.edge import READ, RunningEdge, StartEdge
from tests.control.requests import create_subscription
from tradingtools.adapters.postgres.pool import open_pool
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as rpc

Wallet = Callable[[], str]


def _halt(edge: RunningEdge) -> pb.SetHaltResponse:
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        request = pb.SetHaltRequest(
            scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_HALTED, reason="prices look wrong"
        )
        answer: pb.SetHaltResponse = rpc.OperatorServiceStub(channel).SetHalt(request, timeout=60)
        return answer


def _until(database: psycopg.Connection[Any], query: str) -> None:
    """Wait until a query has a row."""
    deadline = time.monotonic() + 60
    while not database.execute(query.encode()).fetchall():
        assert time.monotonic() < deadline, query
        time.sleep(0.01)


def test_readers_of_long_histories_take_away_neither_a_halt_nor_a_pause(
    start_edge: StartEdge, wallet: Wallet
) -> None:
    with (
        start_edge("readers") as edge,
        psycopg.connect(edge.database_url, autocommit=True) as looking,
        psycopg.connect(edge.database_url) as holding,
        ThreadPoolExecutor() as readers,
    ):
        path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
        # Their reads last until it lets go.
        holding.execute("lock table decision in access exclusive mode")
        asked = [
            readers.submit(edge.call, "GET", f"{path}/decisions?reason=TOO_OLD", READ)
            for _ in range(8)
        ]
        _until(looking, "select 1 from pg_locks where not granted having count(*) = 4")
        assert _halt(edge).halt.mode == pb.HALT_MODE_HALTED
        assert edge.call("POST", f"{path}/pause").json()["state"] == "SUBSCRIPTION_STATE_PAUSED"
        holding.rollback()
        assert {one.result().status_code for one in asked} <= {200, 503}


async def test_snapshots_come_one_after_the_other_and_leave_connections_to_others(
    database_url: str,
) -> None:
    drawn = asyncio.Event()
    async with open_pool(database_url, name="test", size=2, prompt=True) as pool:
        store = Store(pool, Reading(pool), cast("Any", None), changes=pool)

        async def draw() -> None:
            async with store.snapshot() as snapshot:
                await snapshot.rows("select 1")
                await drawn.wait()

        async with asyncio.TaskGroup() as drawing:
            for _ in range(3):
                drawing.create_task(draw())
            await asyncio.sleep(0)
            assert await store.rows("select 1 as one") == [{"one": 1}]
            drawn.set()
