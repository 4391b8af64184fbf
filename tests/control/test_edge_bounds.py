"""Test how long a client may take at the edge, and how many connections there may be.

Each bound alone, made short in a configuration that is otherwise as rendered: whoever goes beyond
it is answered 408 or hung up on. Awaited, not timed; a bound that does nothing is a test that ends
by its own limit. Envoy itself answers here, and nothing stands behind it but where a test says so.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.rpc import status_pb2

from ext_authz import external_auth_pb2
from launcher import envoy_config
from launcher.envoy_tls import Certificate
from launcher.ports import free_port
from tests.support.certificates import Authority
from tradingtools.v1 import holding_service_pb2 as pb

_PATIENCE_SECONDS = 60
_STEP_SECONDS = 0.1
_HEAD = "POST /subscriptions HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\n"
_BODY = f"{_HEAD}Content-Length: 60000\r\n\r\n"
Config = dict[str, Any]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _config(directory: Path, port: int = 1, **more: Any) -> Config:
    edge = envoy_config.Edge(port=port, control_port=2, directory=directory, **more)
    envoy_config.prepare(edge)
    rendered: Config = yaml.safe_load(edge.config.read_text())
    return rendered


def _manager(config: Config) -> Config:
    # The chains are one, but for their counters.
    first, *_ = config["static_resources"]["listeners"][0]["filter_chains"]
    manager: Config = first["filters"][-1]["typed_config"]
    return manager


def _connections(config: Config) -> Config:
    (monitor,) = config["overload_manager"]["resource_monitors"]
    bound: Config = monitor["typed_config"]
    return bound


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (("request_headers_timeout",), 5),
        (("request_timeout",), 10),
        (("stream_idle_timeout",), 30),
        (("common_http_protocol_options", "idle_timeout"), 30),
        (("common_http_protocol_options", "max_stream_duration"), 30),
        (("delayed_close_timeout",), 1),
    ],
)
def test_every_wait_for_a_client_ends(tmp_path: Path, names: tuple[str, ...], seconds: int) -> None:
    bound: Any = _manager(_config(tmp_path))
    for name in names:
        bound = bound[name]
    assert 0 < float(bound.removesuffix("s")) <= seconds


def test_what_a_client_may_hold_is_finite(tmp_path: Path) -> None:
    config = _config(tmp_path)
    manager, (listener, keys) = _manager(config), config["static_resources"]["listeners"]
    # Envoy itself asks there, and nobody else can.
    assert "pipe" in keys["address"]
    assert 0 < _connections(config)["max_active_downstream_connections"] <= 8192
    http2 = manager["http2_protocol_options"]
    assert 0 < http2["max_concurrent_streams"] <= 100
    assert 0 < http2["initial_stream_window_size"] <= 1 << 16
    assert 0 < http2["initial_connection_window_size"] <= 1 << 20
    assert 0 < listener["per_connection_buffer_limit_bytes"] <= 1 << 20
    (send_buffer,) = listener["socket_options"]
    assert (send_buffer["level"], send_buffer["name"]) == (socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert 0 < send_buffer["int_value"] <= 1 << 16
    (bodies,) = (f for f in manager["http_filters"] if f["name"].endswith("buffer"))
    assert 0 < bodies["typed_config"]["max_request_bytes"] <= 1 << 16
    assert 0 < manager["max_request_headers_kb"] <= 16
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        if "route" in route:
            assert route["route"]["timeout"] == "10s", route["match"]


@asynccontextmanager
async def _envoy(
    directory: Path, change: Callable[[Config], None], **more: Any
) -> AsyncIterator[int]:
    """Its port, of an Envoy whose configuration was changed."""
    port = free_port()
    config = _config(directory, port, **more)
    change(config)
    changed = directory / "changed.yaml"
    changed.write_text(json.dumps(config))
    with (directory / "log").open("wb") as log:
        envoy = await asyncio.create_subprocess_exec(
            *envoy_config.command(changed), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                with suppress(OSError):
                    _, probe = await asyncio.open_connection("127.0.0.1", port)
                    probe.close()
                    break
                assert envoy.returncode is None, (directory / "log").read_text()[-2000:]
                await asyncio.sleep(0.05)
        yield port
    finally:
        envoy.terminate()
        await envoy.wait()


def _waits(config: Config) -> list[tuple[Config, str]]:
    manager = _manager(config)
    common = manager["common_http_protocol_options"]
    return [
        (manager, "request_headers_timeout"),
        (manager, "request_timeout"),
        (manager, "stream_idle_timeout"),
        (common, "idle_timeout"),
        (common, "max_stream_duration"),
    ]


@pytest.mark.parametrize(
    ("bound", "said", "again", "answer"),
    [
        pytest.param("request_headers_timeout", _HEAD, "X-A: 1\r\n", b"408", id="slow head"),
        pytest.param("request_timeout", _BODY, " ", b"408", id="slow body"),
        pytest.param("stream_idle_timeout", _BODY, "", b"408", id="unfinished"),
        pytest.param("max_stream_duration", _BODY, " ", b"408", id="endless"),
        pytest.param("idle_timeout", "", "", b"", id="idle"),
    ],
)
async def test_a_slow_client_is_answered_408_or_hung_up_on(
    tmp_path: Path, bound: str, said: str, again: str, answer: bytes
) -> None:
    def only_this(config: Config) -> None:
        for where, name in _waits(config):
            assert name in where, name
            where[name] = "0.5s" if name == bound else "3600s"
        manager = _manager(config)
        manager["common_http_protocol_options"]["max_headers_count"] = 10_000

    async with _envoy(tmp_path, only_this) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        received = asyncio.create_task(reader.read(65536))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                with suppress(ConnectionError):
                    writer.write(said.encode())
                    while not received.done():
                        writer.write(again.encode())
                        await asyncio.wait([received], timeout=_STEP_SECONDS)
                try:
                    text = await received
                except ConnectionError:
                    text = b""
        finally:
            received.cancel()
            writer.close()
        assert text.split(b" ")[1:2] == ([answer] if answer else []), text


async def test_who_connects_and_begins_no_tls_is_hung_up_on(tmp_path: Path) -> None:
    """The other waits are long: the one for the handshake ends it, of every share."""
    chain, key = Authority(tmp_path / "ours").issue("edge")
    certificate = Certificate(chain=str(chain), key=str(key))

    def only_this(config: Config) -> None:
        for where, name in _waits(config):
            where[name] = "3600s"
        for share in config["static_resources"]["listeners"][0]["filter_chains"]:
            assert share["transport_socket_connect_timeout"] == "5s"
            share["transport_socket_connect_timeout"] = "0.5s"

    async with _envoy(tmp_path, only_this, certificate=certificate) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                assert await reader.read() == b""
        finally:
            writer.close()


class _Control(grpc.GenericRpcHandler):
    """Lets every request pass, and answers each with a large page.

    Args:
        desired: of so many answers.
    """

    def __init__(self, desired: int) -> None:
        positions = [pb.Position(condition_id="0" * 66, asset_id="0" * 78)] * 1_000
        page = pb.ListSubscriptionPositionsResponse(positions=positions)
        self._page = page.SerializeToString()
        self._desired = desired
        self.asked_by_all = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The authorization, or the page."""
        allowed = external_auth_pb2.CheckResponse(status=status_pb2.Status(code=0))

        async def check(_request: bytes, _context: Any) -> bytes:
            return allowed.SerializeToString()

        async def page(_request: bytes, _context: Any) -> bytes:
            self._desired -= 1
            if not self._desired:
                self.asked_by_all.set()
            return self._page

        requested = handler_call_details.method.endswith("/Check")
        return grpc.unary_unary_rpc_method_handler(check if requested else page)


async def test_answers_that_nobody_reads_hold_no_place_at_control(tmp_path: Path) -> None:
    """Of more clients than there are such places; each a large page."""
    clients = 300
    control = _Control(clients)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((control,))
    at = server.add_insecure_port("127.0.0.1:0")

    def patient(config: Config) -> None:
        clusters = config["static_resources"]["clusters"]
        (cluster,) = (one for one in clusters if one["name"] == "control")
        assert cluster["circuit_breakers"]["thresholds"][0]["max_requests"] < clients
        (hosts,) = cluster["load_assignment"]["endpoints"]
        address = hosts["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
        address["port_value"] = at
        for route in _manager(config)["route_config"]["virtual_hosts"][0]["routes"]:
            if "route" in route:
                route["route"]["timeout"] = "3600s"

    asking = f"GET /subscriptions/sub_{'0' * 32}/positions HTTP/1.1\r\nHost: e\r\n\r\n".encode()
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, None)
        async with _envoy(tmp_path, patient) as port, asyncio.timeout(_PATIENCE_SECONDS):
            for _ in range(clients):
                one = stack.enter_context(socket.socket())
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.connect(("127.0.0.1", port))
                one.sendall(asking)
            await control.asked_by_all.wait()


async def _connected(port: int) -> Connection | None:
    """A connection that gets answers; None: it was hung up on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if await _served(reader, writer):
        return reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return None


async def _served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        # Who shows no token is hung up on with his answer.
        writer.write(b"GET /x HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer 0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
        await reader.readexactly(int(lines[b"content-length"]))
    except (ConnectionError, asyncio.IncompleteReadError):
        return False
    return head.startswith(b"HTTP/1.1 ")


async def test_connection_beyond_the_cap_is_refused_others_go_on(
    tmp_path: Path,
) -> None:
    def three(config: Config) -> None:
        _connections(config)["max_active_downstream_connections"] = 3

    standing: list[Connection] = []
    async with _envoy(tmp_path, three) as port, asyncio.timeout(_PATIENCE_SECONDS):
        # The probe of the start may still count.
        while len(standing) < 3:
            if (one := await _connected(port)) is not None:
                standing.append(one)
        for _ in range(5):
            assert await _connected(port) is None
        for one in standing:
            assert await _served(*one)
        # Who leaves makes room.
        standing.pop()[1].close()
        while len(standing) < 3:
            if (one := await _connected(port)) is not None:
                standing.append(one)
        for _, writer in standing:
            writer.close()
