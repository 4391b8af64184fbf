"""Test what a client sees when a part is missing: one shape of error, nothing of our insides."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from launcher import envoy_config, temporary
from launcher.ports import free_port
from tests.control.edge import TOKENS, RunningEdge, StartEdge, running_edge
from tests.control.requests import Database, create_subscription, error_of, subscription_body
from tests.support.prepared import run

Wallet = Callable[[], str]


def test_an_unexpected_error_gives_an_incident_and_nothing_else(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
    database.execute("alter table lot rename to lot_away")
    try:
        response = edge.call("GET", path)
    finally:
        database.execute("alter table lot_away rename to lot")
    status, reason, metadata = error_of(response)
    assert (status, reason, set(metadata)) == (500, "INTERNAL", {"incident"})
    assert response.json()["message"] == f"internal error, incident {metadata['incident']}"
    assert re.fullmatch("[0-9a-f]{16}", metadata["incident"])
    assert "lot" not in response.text
    edge.logs(metadata["incident"])
    assert edge.call("GET", path).status_code == 200


def test_connections_that_broke_unnoticed_cost_no_answer(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
    for verb, requested in (("GET", path), ("POST", f"{path}/pause")):
        ended = database.execute(
            "select pg_terminate_backend(pid, 20000) from pg_stat_activity"
            " where application_name = 'tradingtools-control' and datname = current_database()"
        ).fetchall()
        assert ended
        answer = edge.call(verb, requested, json={} if verb == "POST" else None)
        assert answer.status_code == 200, answer.text


def test_without_redis_changes_go_on_and_readiness_tells(
    postgres_server: str, migrated_template: str, tmp_path: Path, wallet: Wallet
) -> None:
    database = temporary.create_database(postgres_server, template=migrated_template)
    with temporary.temporary_valkey() as dying:
        context = running_edge(tmp_path, database, dying)
        edge = context.__enter__()
    try:
        response = edge.call("GET", "/ready", None)
        status, reason, metadata = error_of(response)
        assert (status, reason, metadata["dependency"]) == (503, "UNAVAILABLE", "redis")
        assert response.headers["retry-after"] == "1"
        _until_health(edge, postgresql="SERVING", redis="NOT_SERVING")
        assert edge.call("GET", "/health", None).status_code == 200
        assert edge.call("POST", "/subscriptions", json=subscription_body(wallet())).is_success
    finally:
        context.__exit__(None, None, None)


def _until_health(edge: RunningEdge, **expected: str) -> None:
    """Health by the name of the dependency, on the internal port."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as port:
        stub: Any = health_pb2_grpc.HealthStub(port)
        deadline = time.monotonic() + 60
        while True:
            found = {
                name: health_pb2.HealthCheckResponse.ServingStatus.Name(
                    stub.Check(
                        health_pb2.HealthCheckRequest(service=name), wait_for_ready=True, timeout=60
                    ).status
                )
                for name in expected
            }
            if found == expected:
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


def test_without_postgresql_everything_else_says_so(
    start_edge: StartEdge, postgres_server: str, wallet: Wallet
) -> None:
    with (
        start_edge("cut-off") as edge,
        psycopg.connect(postgres_server, autocommit=True) as server,
    ):
        name = edge.database_url.rsplit("/", 1)[1]
        server.execute(f"alter database {name} allow_connections false".encode())
        server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        _until_health(edge, postgresql="NOT_SERVING", redis="SERVING")
        for verb, path, body in (
            ("GET", "/ready", None),
            ("GET", "/subscriptions?followerProxy=0x" + "ab" * 20, None),
            ("POST", "/subscriptions", subscription_body(wallet())),
        ):
            response = edge.call(verb, path, json=body)
            status, reason, metadata = error_of(response)
            assert (status, reason, metadata["dependency"]) == (503, "UNAVAILABLE", "postgresql")
            assert response.headers["retry-after"] == "1"
        assert edge.call("GET", "/health", None).status_code == 200

        server.execute(f"alter database {name} allow_connections true".encode())
        deadline = time.monotonic() + 60
        while edge.call("GET", "/ready", None).status_code != 200:
            assert time.monotonic() < deadline, "it did not recover"
            time.sleep(0.1)


def test_without_control_the_edge_speaks_the_same_language(tmp_path: Path) -> None:
    """Envoy alone: nothing is let through, and its own errors have the one shape."""
    import httpx

    port = free_port()
    edge = envoy_config.Edge(port=port, control_port=free_port(), directory=tmp_path)
    child = subprocess.Popen(
        envoy_config.command(envoy_config.prepare(edge)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline, "Envoy did not start"
            try:
                response = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert error_of(response)[:2] == (503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "1"
    finally:
        child.terminate()
        child.wait(timeout=60)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TT_CONTROL_TOKENS", "", "TT_CONTROL_TOKENS: required and not set"),
        ("TT_CONTROL_TOKENS", "a:root:" + "0" * 64, "TT_CONTROL_TOKENS: entry 1: the scope"),
        ("TT_CONTROL_IDENTITY_KEY", "abc", "TT_CONTROL_IDENTITY_KEY: has to be 64 hex digits"),
        ("TT_DATABASE_URL", "", "TT_DATABASE_URL: required and not set"),
        ("TT_CONTROL_POOL_SIZE", "1", "TT_CONTROL_POOL_SIZE: '1' is outside 2 to 64"),
        ("TT_CONTROL_TOKEN", "x", "TT_CONTROL_TOKEN: no such setting"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: str, said: str) -> None:
    environment = {
        "TT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
        "TT_REDIS_URL": "redis://127.0.0.1:1/0",
        "TT_CONTROL_TOKENS": TOKENS,
    } | {name: value}
    done = run("services.control", environment)
    assert done.returncode == 2
    assert done.stderr.startswith(f"control: {said}")
    assert done.stderr.count("\n") == 1
