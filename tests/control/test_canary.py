"""A token is searched for in everything that anybody has written anywhere.

The clients here do what clients do wrong: they put it where it does not belong.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
import redis
from psycopg import sql

from launcher.ports import free_port
from tests.control.edge import RunningEdge, StartEdge, digest
from tests.control.requests import create_subscription, subscription_body
from tests.support.collector import running_collector

CANARY = "ca7a" * 16
WRONG = "ca7b" * 16
KEY = "ca7c" * 16
LOOKER = "ca7d" * 16
PROXY = "0x" + "ab" * 20


def _misuse(edge: RunningEdge) -> bytes:
    """A good token and a wrong one, rightly and wrongly placed everywhere; what was answered."""
    said: list[bytes] = []

    def listen(response: httpx.Response) -> None:
        said.append(repr(response.headers.raw).encode() + response.read())

    create_subscription(edge, PROXY)
    for token in (CANARY, WRONG):
        with httpx.Client(
            base_url=edge.url, timeout=60, trust_env=False, event_hooks={"response": [listen]}
        ) as client:
            for shown in ("none", CANARY, token):
                client.headers["Authorization"] = f"Bearer {shown}"
                _misplace(client, token)
            wallets = "&".join([f"wallet={token}"] * 200)
            client.get(f"/triggers?{wallets}")
        for head in (f"Authorization: Bearer {token}\x00", f"{token}", f"{token}: {token}"):
            with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as around:
                around.sendall(f"GET /health?{token} HTTP/1.1\r\n{head}\r\n\r\n".encode())
                said.append(around.recv(65536))
        said += [_inside(edge, token), _inside(edge, LOOKER)]
    return b"\n".join(said)


def _misplace(client: httpx.Client, token: str) -> None:
    client.get(f"/subscriptions?{token}")
    for name in ("token", "pageToken", "pageSize", token, f"x{token}"):
        client.get(f"/subscriptions?followerProxy={PROXY}&{name}={token}")
        client.get(f"/triggers?wallet={token}&{name}=1")
    body = subscription_body(PROXY)
    for wrong in (
        {**body, token: token},
        {**body, f"x.{token}": 1},
        {**body, "limits": {token: 1}},
        {**body, "leader": token},
        {**body, "follower": token},
    ):
        client.post("/subscriptions", json=wrong)
    for path in (f"/{token}", f"/subscriptions/{token}", f"/triggers/x/{token}/y"):
        for verb in ("GET", "PUT", "DELETE"):
            client.request(verb, path)
    for name in ("If-Match", "traceparent", "Content-Type"):
        client.post("/subscriptions", json=body, headers={name: token})
    # This one is good, and kept: what was made is found again by it.
    made = [
        client.post("/subscriptions", json=body, headers={"Idempotency-Key": token}).json()
        for _ in range(2)
    ]
    assert made[0].get("id") == made[1].get("id")
    client.post("/subscriptions", content=token)
    client.get("/health", headers={"X-Token": token, "Cookie": token})


def _inside(edge: RunningEdge, token: str) -> bytes:
    """Return what the internal port answers to a token."""
    with edge.inside() as port:
        call: Any = port.unary_unary("/tradingtools.v1.OperatorService/ListHalts")
        try:
            answer: bytes = call(b"", metadata=_bearer(token), timeout=60)
        except grpc.RpcError as error:
            return repr(error).encode()
        return answer


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _redis(url: str) -> bytes:
    """All that is in Redis, keys and values."""
    reads: dict[bytes, Callable[[redis.Redis, bytes], Any]] = {
        b"string": lambda store, key: store.get(key),
        b"hash": lambda store, key: store.hgetall(key),
        b"list": lambda store, key: store.lrange(key, 0, -1),
        b"set": lambda store, key: store.smembers(key),
        b"zset": lambda store, key: store.zrange(key, 0, -1),
        b"stream": lambda store, key: store.xrange(key),
    }
    with redis.Redis.from_url(url) as store:
        return b"\n".join(
            key + b" " + repr(reads[store.type(key)](store, key)).encode()
            for key in store.scan_iter(count=1000)
        )


def _server_log(database_url: str) -> bytes:
    """Return what PostgreSQL has written down."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("show data_directory").fetchone()
        # So that there is something to find.
        with contextlib.suppress(psycopg.Error):
            connection.execute("select 1 from looked_here")
    assert row is not None
    written = (Path(row[0]).parent / "log").read_bytes()
    assert b"looked_here" in written
    return written


def _metrics(port: int) -> bytes:
    """Return what a process shows Prometheus."""
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60, trust_env=False).content


def _admin(edge: RunningEdge) -> str:
    """Return what Envoy tells about itself."""
    transport = httpx.HTTPTransport(uds=str(edge.admin_socket))
    with httpx.Client(transport=transport, base_url="http://admin", timeout=60) as client:
        paths = ("/config_dump?include_eds", "/stats", "/clusters", "/server_info", "/runtime")
        return "".join(client.get(path).text for path in paths)


def _rows(database_url: str) -> str:
    """All that is in the database."""
    with psycopg.connect(database_url) as connection:
        names = connection.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        found = []
        for schema, name in names:
            table = sql.Identifier(schema, name)
            rows = connection.execute(sql.SQL("select t::text from {} t").format(table)).fetchall()
            found += [row[0] for row in rows]
    return "\n".join(found)


def _spellings(secret: str) -> list[bytes]:
    text = secret.encode()
    return [text, text.upper(), base64.b64encode(text).rstrip(b"="), bytes.fromhex(secret)]


def test_no_token_is_written_anywhere(
    start_edge: StartEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, internal_metrics = free_port(), free_port()
    written: dict[str, bytes] = {}
    # A forked process would show the command line and environment of whom it was forked from.
    monkeypatch.setattr("tests.control.edge.Popen", subprocess.Popen)
    with running_collector() as (collector, received):
        monkeypatch.setenv("TT_METRICS_PORT", str(metrics))
        monkeypatch.setenv("TT_CONTROL_INTERNAL_METRICS_PORT", str(internal_metrics))
        monkeypatch.setenv("TT_OTLP_ENDPOINT", f"http://127.0.0.1:{collector}")
        monkeypatch.setenv("TT_LOG_LEVEL", "debug")
        tokens = f"backend:manage:{digest(CANARY)},looker:observe:{digest(LOOKER)}"
        with start_edge("canary", tokens=tokens, identity_key=KEY) as edge:
            directory = edge.log.parent
            monkeypatch.setattr(RunningEdge.call, "__defaults__", (CANARY,))
            written["answers"] = _misuse(edge)
            written["metrics"] = _metrics(metrics)
            written["internal metrics"] = _metrics(internal_metrics)
            written["admin"] = _admin(edge).encode()
            written["rows"] = _rows(edge.database_url).encode()
            written["redis"] = _redis(edge.redis_url)
            written["server log"] = _server_log(edge.database_url)
            for pid in edge.processes:
                written[f"arguments of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                # The key is a setting, and so in the environment of whom it was given to.
                written[f"environment of {pid}"] = b"\0".join(
                    line for line in environment if not line.startswith(b"TT_CONTROL_IDENTITY_KEY")
                )
        written["telemetry"] = b"".join(received)
    for path in directory.rglob("*"):
        if path.is_file():
            written[str(path)] = path.read_bytes()
    # Each process counts what it served: the looker has asked at the internal port alone.
    for part, token in (("metrics", b"backend"), ("internal metrics", b"looker")):
        used = [line for line in written[part].split(b"\n") if b"token_last_used" in line]
        assert any(b'token="%s"' % token in line for line in used), used
    assert b"token_last_used" in written["telemetry"]
    assert b'"path":"/subscriptions"' in written[str(directory / "log")]
    for name, content in written.items():
        for secret in (CANARY, WRONG, KEY, LOOKER):
            for spelling in _spellings(secret):
                assert spelling not in content, f"{name} has a secret"
