"""A token is searched for in everything that anybody has written anywhere.

The clients here do what clients do wrong: they put it where it does not belong.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from psycopg import sql

from launcher.embedded import free_port
from tests.control.edge import RunningEdge, StartEdge, digest
from tests.control.requests import create_subscription, subscription_body

CANARY = "ca7a" * 16
WRONG = "ca7b" * 16
KEY = "ca7c" * 16
PROXY = "0x" + "ab" * 20


@contextmanager
def _collector() -> Iterator[tuple[int, list[bytes]]]:
    """A collector of traces and metrics; its port, and what it was sent."""
    received: list[bytes] = []

    class Anything(grpc.GenericRpcHandler):
        def service(self, _details: Any) -> Any:
            def take(request: bytes, _context: Any) -> bytes:
                received.append(request)
                return b""

            return grpc.unary_unary_rpc_method_handler(take)

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Anything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, received
    finally:
        server.stop(None).wait()


def _misuse(edge: RunningEdge) -> None:
    """A good token and a wrong one, in the right place and in every wrong one."""
    bearer = {"Authorization": f"Bearer {CANARY}"}
    create_subscription(edge, PROXY)
    for token in (CANARY, WRONG):
        client = httpx.Client(base_url=edge.url, timeout=60, trust_env=False)
        with client:
            for header in ({}, bearer, {"Authorization": f"Bearer {token}"}):
                client.get(f"/subscriptions?followerProxy={PROXY}&token={token}", headers=header)
                client.get(f"/subscriptions?{token}", headers=header)
                body = subscription_body(PROXY)
                for wrong in ({**body, token: token}, {**body, "leader": token}):
                    client.post("/subscriptions", json=wrong, headers=header)
                client.post("/subscriptions", content=token, headers=header)
                client.get("/health", headers={**header, "X-Token": token, "Cookie": token})
            wallets = "&".join([f"wallet={token}"] * 200)
            client.get(f"/triggers?{wallets}")
        for head in (f"Authorization: Bearer {token}\x00", f"{token}", f"{token}: {token}"):
            with socket.create_connection(("127.0.0.1", edge.reads_port), timeout=60) as around:
                around.sendall(f"GET /health?{token} HTTP/1.1\r\n{head}\r\n\r\n".encode())
                around.recv(1)
        with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as port:
            call: Any = port.unary_unary("/tradingtools.v1.OperatorService/ListHalts")
            call(b"", metadata=(("authorization", f"Bearer {token}"),), timeout=60)


def _admin(edge: RunningEdge) -> str:
    """What Envoy tells about itself."""
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
    metrics = free_port()
    written: dict[str, bytes] = {}
    with _collector() as (collector, received):
        monkeypatch.setenv("TT_METRICS_PORT", str(metrics))
        monkeypatch.setenv("TT_OTLP_ENDPOINT", f"http://127.0.0.1:{collector}")
        monkeypatch.setenv("TT_LOG_LEVEL", "debug")
        tokens = f"backend:manage:{digest(CANARY)}"
        with start_edge("canary", tokens=tokens, identity_key=KEY) as edge:
            directory = edge.log.parent
            monkeypatch.setattr(RunningEdge.call, "__defaults__", (CANARY,))
            _misuse(edge)
            written["metrics"] = httpx.get(f"http://127.0.0.1:{metrics}/metrics").content
            written["admin"] = _admin(edge).encode()
            written["rows"] = _rows(edge.database_url).encode()
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
    assert b"control_token_last_used" in written["metrics"]
    assert b"token_last_used" in written["telemetry"]
    assert b'"path":"/subscriptions"' in written[str(directory / "log")]
    for name, content in written.items():
        for secret in (CANARY, WRONG, KEY):
            for spelling in _spellings(secret):
                assert spelling not in content, f"{name} has a secret"
