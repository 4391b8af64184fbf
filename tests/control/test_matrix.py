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
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from ext_authz import external_auth_pb2_grpc
from launcher import envoy_config
from launcher.ports import free_port
from services.control.auth.rate_limiter import Limiter, Rates
from services.control.auth.tokens import parse_tokens
from services.control.edge.admission import Gate
from services.control.edge.admission_rules import Route
from services.control.edge.contract import public_routes
from services.control.edge.ext_authz import Gateway
from services.control.edge.shapes import Kind
from services.control.users.people import People
from tests.control.edge import MANAGE, READ, TOKENS
from tests.control.requests import Nobodys
from tests.control.test_contract import _services
from tools.openapi.examples import EXAMPLES
from tradingtools.domain.permissions import PERMISSIONS, REACH, Permission
from tradingtools.rpc.public_services import BEHIND

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
    "orders": "0" * 64,
    "webhook-endpoints": "whk_" + "0" * 32,
    "leaders": "0x" + "0" * 40,
    "wallets": "wal_" + "0" * 32,
    "bots": "0" * 12,
    "risk": "kil_" + "0" * 32,
    "engines": "bots-1",
    "strategies": "grid",
    "users": "usr_" + "0" * 32,
    "auth": "ses_" + "0" * 32,
}
KINDS = (
    ("Content-Type: application/json",),
    ("Content-Type: application/grpc", "TE: trailers"),
    ("Content-Type: application/grpc-web+proto",),
    ("TE: trailers", "X-HTTP-Method-Override: POST", "x-tt-identity: a:manage:0"),
)
WRONG = "c3" * 32
KEY = b"k" * 32
_TRIES = 20
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


class CountingGateway(Gateway):
    """The authorization; counts how often it is asked."""

    requested = 0

    async def Check(self, request: Any, context: Any) -> Any:
        """As the real one."""
        self.requested += 1
        return await super().Check(request, context)


@dataclass(frozen=True, slots=True)
class World:
    """A port of Envoy's, and what ran behind it."""

    port: int
    journal: Journal
    gateway: CountingGateway

    async def ask(self, verb: str, target: str, headers: Iterable[str], body: str) -> int:
        """One request, byte for byte, over HTTP/1.1; its status, 0 when we were hung up on.

        A read without a body says nothing of its length, as clients have it. Where the gate had no
        core for two seconds nothing ran and nothing was judged, and it is asked again.
        """
        for _ in range(_TRIES):
            status = await self._requested(verb, target, headers, body)
            if status != 503:
                break
        return status

    async def _requested(self, verb: str, target: str, headers: Iterable[str], body: str) -> int:
        lines = [f"{verb} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers]
        if _CHUNKED in headers:
            body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
        elif body or verb != "GET":
            lines.append(f"Content-Length: {len(body)}")
        lines += ["Connection: close", "", body]
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


_CHUNKED = "Transfer-Encoding: chunked"


@asynccontextmanager
async def _world(directory: Path) -> AsyncIterator[World]:
    journal = Journal()
    often = Rates(token=1_000_000, address=1_000_000, refused=1_000_000)
    gate = Gate(public_routes(), parse_tokens(TOKENS), Limiter(often))
    gateway = CountingGateway(gate, KEY, Nobodys(), People(None, None))
    server = grpc.aio.server()
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(gateway, server)
    server.add_generic_rpc_handlers((journal,))
    async with AsyncExitStack() as stack:
        port = server.add_insecure_port("127.0.0.1:0")
        edge = envoy_config.Edge(
            port=free_port(),
            control_port=port,
            behind=dict.fromkeys(BEHIND, ("127.0.0.1", port)),
            directory=directory,
        )
        await server.start()
        stack.push_async_callback(server.stop, None)
        command = envoy_config.command(envoy_config.prepare(edge))
        log = stack.enter_context((directory / "log").open("wb"))
        envoy = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=subprocess.STDOUT)
        try:
            world = World(edge.port, journal, gateway)
            await _until_up(world)
            yield world
        finally:
            envoy.terminate()
            await envoy.wait()


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


def _of_programs() -> Iterable[Route]:
    """The routes that a token of a program reaches."""
    people = (Permission.PERSON, Permission.ADMINISTER)
    return (route for route in public_routes() if PERMISSIONS[route.method] not in people)


def _path(route: Route) -> str:
    return "/" + "/".join(
        IDS[route.segments[0]] if segment.startswith("{") else segment for segment in route.segments
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


def _plain(route: Route) -> str:
    """A read as clients spell it, with every parameter that it has of a plain kind."""
    given = {
        Kind.STRING: "a-Z_9", Kind.BOOL: "true", Kind.INT32: "7", Kind.INT64: "0",
    }  # fmt: skip
    query = "&".join(
        f"{name}={given[known.kind]}"
        for name, known in route.shape.fields.items()
        if name not in route.bound and known.kind in given and not known.many
    )
    return _path(route) + (f"?{query}" if query else "")


async def test_every_read_is_asked_about_and_none_runs_without_a_token(tmp_path: Path) -> None:
    token = f"Authorization: Bearer {READ}"
    async with _world(tmp_path) as world:
        for route in (each for each in _of_programs() if each.verb == "GET"):
            path, public = _path(route), PERMISSIONS[route.method] is Permission.PUBLIC
            for target, headers, body, expected in (
                (path, (token,), "", 200),
                (_plain(route), (token,), "", 200),
                (path, (token, "Content-Type: application/json"), "", 200),
                (path, (token,), "{}", 200),
                (path, (token, _CHUNKED), "{}", 200),
                (path, (), "", 200 if public else 401),
                (path, (_CHUNKED,), "{}", 200 if public else 401),
                (path, (f"Authorization: Bearer {WRONG}",), "", 200 if public else 401),
                (path, (token, token), "", 200 if public else 401),
                (f"{path}?x=1", (token,), "", 400),
                (f"{path}/", (token,), "", 404),
                (path, (token,), '{"x":1}', 400),
                # A body that no header announces is judged all the same.
                (path, (token, _CHUNKED), '{"x":1}', 400),
                (path, (token, _CHUNKED), "x", 400),
            ):
                before = world.gateway.requested
                world.journal.ran.clear()
                assert await world.ask("GET", target, headers, body) == expected, (target, body)
                assert world.journal.ran == [route.method] * (expected == 200), (target, body)
                assert world.gateway.requested > before, (target, body)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One of HTTP/2 (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def _headers(fields: Iterable[tuple[str, str]]) -> bytes:
    """A block of headers, each written out (RFC 7541, 6.2.2)."""
    return b"".join(
        b"\x00" + _length(name) + name.encode() + _length(value) + value.encode("latin-1")
        for name, value in fields
    )


def _length(text: str) -> bytes:
    rest = len(text) - 127
    if rest < 0:
        return bytes([len(text)])
    # Of seven bits each, the lowest first.
    return bytes([127]) + (bytes([rest]) if rest < 128 else bytes([rest % 128 + 128, rest // 128]))


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"")


async def test_a_read_whose_body_nothing_announces_is_asked_about(tmp_path: Path) -> None:
    """HTTP/2 only: the transcoder takes what it knows from such a body and drops the rest."""
    headers = {
        ":method": "GET", ":path": f"/subscriptions/{IDS['subscriptions']}/fills",
        ":scheme": "http", ":authority": "edge", "authorization": f"Bearer {READ}",
    }  # fmt: skip
    async with _world(tmp_path) as world:
        before = world.gateway.requested
        _, writer = await asyncio.open_connection("127.0.0.1", world.port)
        try:
            writer.write(_PREFACE)
            writer.write(_frame(1, 4, 1, _headers(headers.items())) + _frame(0, 1, 1, b'{"x":1}'))
            for _ in range(400):
                if world.gateway.requested > before or world.journal.ran:
                    break
                await asyncio.sleep(0.05)
        finally:
            writer.close()
        assert (world.gateway.requested, world.journal.ran) == (before + 1, [])


Asked2 = tuple[str, str, tuple[tuple[str, str], ...], str]
"""Verb, path, headers and body of a request over HTTP/2."""


async def _ask2(port: int, requests: list[Asked2]) -> None:
    """Each on a connection of its own, which a wrong one may end; waits until all are answered."""
    gate = asyncio.Semaphore(256)

    async def one(request: Asked2) -> None:
        verb, path, headers, body = request
        fields = ((":method", verb), (":path", path), (":scheme", "http"), (":authority", "e"))
        async with gate, asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                head = _headers((*fields, *headers))
                writer.write(_PREFACE + _frame(1, 4 if body else 5, 1, head))
                if body:
                    writer.write(_frame(0, 1, 1, body.encode("latin-1")))
                while True:
                    start = await reader.readexactly(9)
                    await reader.readexactly(int.from_bytes(start[:3], "big"))
                    # The stream's end, or that it or all of them are given up.
                    if start[3] in (3, 7) or (start[3] in (0, 1) and start[4] & 1):
                        break
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

    await asyncio.gather(*map(one, requests))


_JSON = (("content-type", "application/json"),)
_GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
_AS_MANAGER = (("authorization", f"Bearer {MANAGE}"),)


async def test_nothing_runs_by_the_path_of_its_rpc_over_http2(tmp_path: Path) -> None:
    async with _world(tmp_path) as world:
        await _ask2(
            world.port,
            [
                ("POST", spelled, (*kind, *_AS_MANAGER), body)
                for path in (*RPCS, *OTHERS)
                for spelled in _spellings(path)
                for kind, body in ((_JSON, "{}"), (_GRPC, FRAME))
            ],
        )
        assert world.journal.ran == []


async def test_http2_route_runs_its_own_rpc_only_with_its_token(
    tmp_path: Path,
) -> None:
    no_paths: list[Asked2] = []
    async with _world(tmp_path) as world:
        for route in public_routes():
            target, body = _rest(route)
            path, _, query = target.partition("?")
            kind = _JSON if route.takes_body else ()
            spelled = [
                s + (f"?{query}" if query and "?" not in s else "") for s in _spellings(path)
            ]
            for token in ((), _AS_MANAGER):
                world.journal.ran.clear()
                requested = [(route.verb, s, (*kind, *token), body) for s in spelled]
                no_paths += [one for one in requested if not one[1].startswith("/")]
                as_grpc = (route.verb, path, (*_GRPC, *token), FRAME)
                await _ask2(world.port, [*(o for o in requested if o[1].startswith("/")), as_grpc])
                needed = PERMISSIONS[route.method]
                may = needed is Permission.PUBLIC or (token and needed in REACH[Permission.MANAGE])
                assert set(world.journal.ran) == ({route.method} if may else set()), target
        # Envoy lets each wait for a second before it hangs up: all of them at once.
        world.journal.ran.clear()
        assert no_paths
        await _ask2(world.port, no_paths)
        assert world.journal.ran == []


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
                Permission.PERSON: (),
                Permission.ADMINISTER: (),
            }[PERMISSIONS[route.method]]
            for token in (None, WRONG, READ, MANAGE):
                world.journal.ran.clear()
                (header,) = _tokens(token)
                await world.ask(route.verb, target, (*kind, *header), body)
                expected = [route.method] if token in allowed else []
                assert world.journal.ran == expected, (route.method, token)


async def test_no_spelling_of_a_route_skips_its_token_or_rpc(tmp_path: Path) -> None:
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
                needed = PERMISSIONS[route.method]
                may = needed is Permission.PUBLIC or (header and needed in REACH[Permission.MANAGE])
                assert set(world.journal.ran) <= ({route.method} if may else set())
