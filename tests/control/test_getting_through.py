"""Test that what stops sending gets through: readers, and whoever stands still, do not take it
away."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import psycopg
import pytest

from services.control.auth.tokens import Caller
from services.control.store import Store
from tests.control.edge import READ, RunningEdge, StartEdge
from tests.control.requests import create_subscription, error_of
from tradingtools.domain.errors import Unavailable
from tradingtools.domain.permissions import Permission
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as rpc

Wallet = Callable[[], str]


def _halt(edge: RunningEdge) -> pb.SetHaltResponse:
    with edge.inside() as channel:
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


def test_long_reads_block_neither_halts_nor_pauses(start_edge: StartEdge, wallet: Wallet) -> None:
    with (
        start_edge("readers") as edge,
        psycopg.connect(edge.database_url, autocommit=True) as looking,
        psycopg.connect(edge.database_url) as holding,
        ThreadPoolExecutor() as readers,
    ):
        path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
        # Their reads last until it lets go.
        holding.execute("lock table decision in access exclusive mode")
        requested = [
            readers.submit(edge.call, "GET", f"{path}/decisions?reason=TOO_OLD", READ)
            for _ in range(8)
        ]
        _until(looking, "select 1 from pg_locks where not granted having count(*) = 4")
        assert _halt(edge).halt.mode == pb.HALT_MODE_HALTED
        assert edge.call("POST", f"{path}/pause").json()["state"] == "SUBSCRIPTION_STATE_PAUSED"
        holding.rollback()
        assert {one.result().status_code for one in requested} <= {200, 503}


def _sending(database: psycopg.Connection[Any]) -> None:
    """Return what every SUBMITTING does first: it waits for a change that is under way."""
    database.execute("select lock_control_shared()")


def test_a_row_that_another_one_holds_holds_up_no_sending(
    start_edge: StartEdge, wallet: Wallet
) -> None:
    with (
        start_edge("row") as edge,
        psycopg.connect(edge.database_url, autocommit=True) as sending,
        psycopg.connect(edge.database_url) as holding,
        ThreadPoolExecutor() as clients,
    ):
        # Sooner than by the three seconds that a change may wait for its turn.
        sending.execute("set statement_timeout = '2s'")
        path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
        holding.execute("select 1 from subscription for update")
        requested = clients.submit(edge.call, "POST", f"{path}/pause")
        _until(sending, "select 1 from pg_locks where locktype = 'transactionid' and not granted")
        _sending(sending)
        refused = requested.result()
        status, reason, metadata = error_of(refused)
        assert (status, reason, metadata["retry_after_ms"]) == (503, "UNAVAILABLE", "1000")
        assert "try again" in refused.json()["message"]
        assert refused.headers["retry-after"] == "1"
        # A halt does not need that row, and comes through.
        assert _halt(edge).halt.mode == pb.HALT_MODE_HALTED
        holding.rollback()
        assert edge.call("POST", f"{path}/pause").is_success


def test_stalled_control_change_holds_up_no_sending(start_edge: StartEdge, wallet: Wallet) -> None:
    with (
        start_edge("still") as edge,
        psycopg.connect(edge.database_url, autocommit=True) as sending,
        psycopg.connect(edge.database_url) as holding,
        ThreadPoolExecutor() as clients,
    ):
        sending.execute("set statement_timeout = '10s'")
        path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
        # The audit is written last: it stands still in the middle.
        holding.execute("lock table control_change in exclusive mode")
        requested = clients.submit(edge.call, "POST", f"{path}/pause")
        _until(sending, "select 1 from pg_locks where locktype = 'relation' and not granted")
        os.kill(edge.processes[0], signal.SIGSTOP)
        try:
            holding.rollback()
            _sending(sending)
        finally:
            os.kill(edge.processes[0], signal.SIGCONT)
        assert error_of(requested.result())[:2] == (503, "UNAVAILABLE"), requested.result().text
        assert edge.call("POST", f"{path}/pause").is_success


async def test_a_change_that_stood_still_is_told_to_try_again(database_url: str) -> None:
    async with open_pool(database_url, name="still", size=1, prompt=True) as pool:
        store = Store(pool, cast("Any", None), changes=pool)
        with psycopg.connect(database_url, autocommit=True) as looking:

            async def stand_still() -> None:
                async with store.change(Caller("ann", Permission.OPERATE), "test") as change:
                    _until(
                        looking,
                        "select 1 where not exists (select 1 from pg_stat_activity"
                        " where application_name = 'tradingtools-still')",
                    )
                    await change.rows("select 1")

            with pytest.raises(Unavailable, match="nothing has been changed") as reported:
                await stand_still()
    assert reported.value.metadata["retry_after_ms"] == "1000"


def test_a_halt_has_the_patience_that_other_changes_have_not(start_edge: StartEdge) -> None:
    with (
        start_edge("patient") as edge,
        psycopg.connect(edge.database_url, autocommit=True) as looking,
        psycopg.connect(edge.database_url) as holding,
        ThreadPoolExecutor() as operators,
    ):
        _halt(edge)
        holding.execute("select 1 from halt for update")
        requested = operators.submit(_halt, edge)
        _until(
            looking,
            "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
            " and clock_timestamp() - query_start > interval '600 ms'",
        )
        holding.rollback()
        assert requested.result().halt.mode == pb.HALT_MODE_HALTED


async def test_snapshots_run_in_turn_and_leave_connections_free(
    database_url: str,
) -> None:
    drawn = asyncio.Event()
    async with open_pool(database_url, name="test", size=2, prompt=True) as pool:
        store = Store(pool, cast("Any", None), changes=pool)

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
