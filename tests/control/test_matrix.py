"""Every RPC of every service, in every spelling of its path: what runs is the public allow-list.

Behind a real Envoy and the real gate stands a server that would run anything and keeps a journal
of what it was asked to run. It demands no seal, so only the edge is judged here. The RPCs come from
the descriptors: a new one is tried without a change to this file.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from ext_authz import external_auth_pb2_grpc
from launcher import envoy_config
from launcher.embedded import free_port
from services.control.contract import public_routes
from services.control.core.gate import Route
from services.control.core.tokens import parse_tokens
from services.control.gateway import Gateway
from services.control.limiter import Limiter, Rates
from tests.control.edge import MANAGE, READ, TOKENS
from tests.control.test_contract import _services
from tools.openapi.examples import EXAMPLES
from tradingtools.domain.permissions import PERMISSIONS, Permission

CHECK = "/envoy.service.auth.v3.Authorization/Check"
OTHERS = (
    CHECK,
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.channelz.v1.Channelz/GetServers",
)
METHODS: list[MethodDescriptor] = [m for service in _services() for m in service.methods]
RPCS = [f"/{m.containing_service.full_name}/{m.name}" for m in METHODS]
IDS = {
    "subscriptions": "sub_" + "0" * 32,
    "triggers": "trg_" + "0" * 32,
    "resyncs": "rsy_" + "0" * 32,
}
KINDS = (
    ("Content-Type: application/json",),
    ("Content-Type: application/grpc", "TE: trailers"),
    ("Content-Type: application/grpc-web+proto",),
    ("TE: trailers", "X-HTTP-Method-Override: POST", "x-tt-identity: a:manage:0"),
)
WRONG = "c3" * 32
FRAME = "\x00\x00\x00\x00\x00"


@dataclass(slots=True)
class Journal(grpc.GenericRpcHandler):
    """Would run any RPC, and notes which."""

    ran: list[str] = field(default_factory=list)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """A handler for whatever is asked, except the authorization, which is real."""
        method = handler_call_details.method
        if method == CHECK:
            return None

        async def run(_request: bytes, _context: Any) -> bytes:
            self.ran.append(method)
            return b""

        return grpc.unary_unary_rpc_method_handler(run)


@dataclass(frozen=True, slots=True)
class World:
    """A port of Envoy's, and what ran behind it."""

    port: int
    journal: Journal

    async def ask(self, verb: str, target: str, headers: Iterable[str], body: str) -> int:
        """One request, byte for byte, over HTTP/1.1; its status, 0 when we were hung up on."""
        lines = [f"{verb} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers]
        lines += ["Connection: close", f"Content-Length: {len(body)}", "", body]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join(lines).encode("latin-1"))
            line = await asyncio.wait_for(reader.readline(), 20)
        except ConnectionError:
            return 0
        finally:
            writer.close()
        return int(line.split(b" ")[1]) if line else 0

    async def ask_all(self, requests: list[tuple[str, str, tuple[str, ...], str]]) -> list[int]:
        """Many of them, some at a time."""
        gate = asyncio.Semaphore(32)

        async def one(request: tuple[str, str, tuple[str, ...], str]) -> int:
            async with gate:
                return await self.ask(*request)

        return await asyncio.gather(*map(one, requests))


@asynccontextmanager
async def _world(directory: Path) -> AsyncIterator[World]:
    journal = Journal()
    often = Rates(token=1_000_000, address=1_000_000, refused=1_000_000)
    gateway = Gateway(public_routes(), parse_tokens(TOKENS), b"k" * 32, Limiter(often))
    server = grpc.aio.server()
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(gateway, server)
    server.add_generic_rpc_handlers((journal,))
    edge = envoy_config.Edge(
        port=free_port(), control_port=server.add_insecure_port("127.0.0.1:0"), directory=directory
    )
    await server.start()
    command = envoy_config.command(envoy_config.prepare(edge))
    with (directory / "log").open("wb") as log:
        envoy = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=subprocess.STDOUT)
        try:
            world = World(edge.port, journal)
            await _until_up(world)
            yield world
        finally:
            envoy.terminate()
            await envoy.wait()
            await server.stop(None)


async def _until_up(world: World) -> None:
    for _ in range(400):
        try:
            if await world.ask("GET", "/health", (), "") == 200:
                world.journal.ran.clear()
                return
        except OSError:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("Envoy did not start")


def _tokens(*tokens: str | None) -> list[tuple[str, ...]]:
    return [() if token is None else (f"Authorization: Bearer {token}",) for token in tokens]


def _spellings(path: str) -> list[str]:
    head, _, last = path.rpartition("/")
    return [
        path, f"/{path}", f"{path}/", f"{head}//{last}", f"{head}%2F{last}", f"{head}%5c{last}",
        f"/x/..{path}", f"/.{path}", f"{head}/./{last}", f"http://127.0.0.1{path}",
        f"{path}?x=1", f"{path}?", path.swapcase(), f"/%{ord(path[1]):x}{path[2:]}", f"{path}%00",
    ]  # fmt: skip


def _path(route: Route) -> str:
    return "/" + "/".join(
        IDS[route.segments[0]] if segment == "{id}" else segment for segment in route.segments
    )


def _rest(route: Route) -> tuple[str, str]:
    """Path and body of a call that is right."""
    example = EXAMPLES.get(route.method.rsplit("/", 1)[1], {})
    if route.takes_body:
        return _path(route), json.dumps(example)
    query = "&".join(f"{name}={value}" for name, value in example.items())
    return _path(route) + (f"?{query}" if query else ""), ""


async def test_nothing_runs_by_the_path_of_its_rpc(tmp_path: Path) -> None:
    assert len(RPCS) > 30
    async with _world(tmp_path) as world:
        requests = [
            (verb, spelled, (*kind, *token), body)
            for path in (*RPCS, *OTHERS)
            for spelled in _spellings(path)
            for kind, body in zip(KINDS, ("{}", FRAME, FRAME, ""), strict=True)
            for verb, token in zip(("POST", "GET"), _tokens(MANAGE, None), strict=True)
        ]
        statuses = await world.ask_all(requests)
        assert world.journal.ran == []
        for request, status in zip(requests, statuses, strict=True):
            # Envoy refuses a call of gRPC's kind with a 200, and says so in its trailers.
            grpc_like = any("application/grpc" in header for header in request[2])
            assert status in (0, 400, 401, 403, 404) or (status == 200 and grpc_like), request


async def test_nothing_runs_by_native_grpc(tmp_path: Path) -> None:
    """HTTP/2: the RPC's own path and its spellings, and the REST paths."""
    async with (
        _world(tmp_path) as world,
        grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel,
    ):
        rest = [_path(route) for route in public_routes()]
        for path in (*RPCS, *OTHERS, *rest):
            for spelled in (path, f"/{path}", f"{path}/", f"{path}?x=1"):
                for metadata in ((), (("authorization", f"Bearer {MANAGE}"),)):
                    call: Any = channel.unary_unary(spelled)
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await call(b"", metadata=metadata, timeout=20)
                    assert refused.value.code() != grpc.StatusCode.DEADLINE_EXCEEDED
        assert world.journal.ran == []


async def test_a_public_route_runs_its_own_rpc_and_only_with_its_token(tmp_path: Path) -> None:
    async with _world(tmp_path) as world:
        for route in public_routes():
            target, body = _rest(route)
            kind = KINDS[0] if route.takes_body else ()
            allowed = {
                Permission.PUBLIC: (None, WRONG, READ, MANAGE),
                Permission.READ: (READ, MANAGE),
                Permission.MANAGE: (MANAGE,),
            }[PERMISSIONS[route.method]]
            for token in (None, WRONG, READ, MANAGE):
                world.journal.ran.clear()
                (header,) = _tokens(token)
                await world.ask(route.verb, target, (*kind, *header), body)
                expected = [route.method] if token in allowed else []
                assert world.journal.ran == expected, (route.method, token)


async def test_no_spelling_of_a_route_needs_no_token_or_runs_another_rpc(tmp_path: Path) -> None:
    async with _world(tmp_path) as world:
        for route in public_routes():
            target, body = _rest(route)
            path, _, query = target.partition("?")
            spelled = [
                s + (f"?{query}" if query and "?" not in s else "") for s in _spellings(path)
            ]
            kind = KINDS[0] if route.takes_body else ()
            for header in _tokens(None, MANAGE):
                world.journal.ran.clear()
                await world.ask_all([(route.verb, s, (*kind, *header), body) for s in spelled])
                may = header or PERMISSIONS[route.method] is Permission.PUBLIC
                assert set(world.journal.ran) <= ({route.method} if may else set())
