"""Test who gets in: tokens and scopes, and every way around them that was ever found.

Judged by effect: a walk-around that reached a handler would have paused, made or halted something.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import (
    Database,
    count,
    create_subscription,
    error_of,
    subscription_body,
    trigger_body,
)
from tradingtools.v1 import (
    control_service_pb2,
    control_service_pb2_grpc,
    operator_service_pb2,
    operator_service_pb2_grpc,
)

Wallet = Callable[[], str]
SUB = "sub_" + "0" * 32
TRG = "trg_" + "0" * 32
PROXY = "0x" + "ab" * 20
ROUTES = [
    ("POST", "/subscriptions"),
    ("GET", f"/subscriptions?followerProxy={PROXY}"),
    ("GET", f"/subscriptions/{SUB}"),
    ("PATCH", f"/subscriptions/{SUB}"),
    ("DELETE", f"/subscriptions/{SUB}"),
    ("POST", f"/subscriptions/{SUB}/pause"),
    ("POST", f"/subscriptions/{SUB}/resume"),
    ("GET", f"/subscriptions/{SUB}/fills"),
    ("GET", f"/subscriptions/{SUB}/decisions"),
    ("POST", "/triggers"),
    ("GET", f"/triggers?wallet={PROXY}"),
    ("GET", f"/triggers/{TRG}"),
    ("PATCH", f"/triggers/{TRG}"),
    ("DELETE", f"/triggers/{TRG}"),
    ("GET", f"/triggers/{TRG}/history"),
]
BODIES = {
    "/subscriptions": subscription_body(PROXY),
    "/triggers": trigger_body(PROXY, SUB),
    f"/subscriptions/{SUB}": {"limits": {}},
    f"/triggers/{TRG}": {"size": "1"},
}


def _body(verb: str, path: str) -> object:
    return BODIES.get(path) if verb in ("POST", "PATCH") else None


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_every_401_is_the_same(edge: RunningEdge, verb: str, path: str) -> None:
    bodies = set()
    for header in (
        None,
        "",
        "Bearer",
        "Bearer " + "c3" * 32,
        "Bearer " + MANAGE[:-1],
        f"Bearer {MANAGE}, Bearer {MANAGE}",
        f"Basic {MANAGE}",
        MANAGE,
    ):
        headers = {} if header is None else {"Authorization": header}
        response = edge.call(verb, path, None, headers=headers, json=_body(verb, path))
        assert error_of(response) == (401, "UNAUTHENTICATED", {})
        assert response.headers["www-authenticate"] == "Bearer"
        bodies.add(response.content)
    assert len(bodies) == 1


@pytest.mark.parametrize(("verb", "path"), [(v, p) for v, p in ROUTES if v != "GET"])
def test_a_reader_changes_nothing(edge: RunningEdge, verb: str, path: str) -> None:
    response = edge.call(verb, path, READ, json=_body(verb, path))
    assert error_of(response) == (403, "NOT_ALLOWED", {})


@pytest.mark.parametrize(("verb", "path"), [(v, p) for v, p in ROUTES if v == "GET"])
def test_a_reader_reads(edge: RunningEdge, verb: str, path: str) -> None:
    assert edge.call(verb, path, READ).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health_and_readiness_need_no_token(edge: RunningEdge, path: str) -> None:
    assert edge.call("GET", path, None).json() == {
        "status": {"/health": "ok", "/ready": "ready"}[path]
    }


@pytest.mark.parametrize("token", [None, READ, MANAGE])
@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/console/"),
        ("GET", "/console/session"),
        ("POST", "/subscriptions/funding"),
        ("POST", f"/subscriptions/{SUB}/perf-action"),
        ("GET", "/subscriptions/"),
        ("GET", f"/subscriptions/{SUB}/"),
        ("GET", f"/Subscriptions/{SUB}"),
        ("GET", f"/subscriptions/{SUB}/%c3%bc"),
        ("GET", f"/subscriptions/{SUB}/fills;a=b"),
        ("GET", f"/subscriptions/{SUB}/fills/x"),
        ("POST", "/tradingtools.v1.OperatorService/SetHalt"),
        ("POST", "/tradingtools.v1.ControlService/PauseSubscription"),
        ("POST", "/envoy.service.auth.v3.Authorization/Check"),
        ("POST", "/grpc.health.v1.Health/Check"),
        ("POST", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
    ],
)
def test_what_is_not_public_is_404(
    edge: RunningEdge, verb: str, path: str, token: str | None
) -> None:
    response = edge.call(verb, path, token)
    assert response.status_code == 404
    if verb != "HEAD":
        assert error_of(response)[1] == "NOT_FOUND"


@pytest.mark.parametrize("token", [None, READ])
@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("PUT", "/subscriptions", "GET, POST"),
        ("OPTIONS", "/subscriptions", "GET, POST"),
        ("HEAD", "/health", "GET"),
        ("TRACE", "/health", "GET"),
        ("POST", f"/subscriptions/{SUB}", "DELETE, GET, PATCH"),
        ("GET", f"/subscriptions/{SUB}/pause", "POST"),
    ],
)
def test_another_method_is_told_which_ones_there_are(
    edge: RunningEdge, verb: str, path: str, allow: str, token: str | None
) -> None:
    response = edge.call(verb, path, token)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    if verb != "HEAD":
        assert error_of(response)[1:] == ("METHOD_NOT_ALLOWED", {"allow": allow})


def _raw(edge: RunningEdge, target: str, *headers: str, verb: str = "POST", body: str = "") -> int:
    """One request written byte for byte; the status, 0 when the connection was closed on us."""
    lines = [f"{verb} {target} HTTP/1.1", f"Host: 127.0.0.1:{edge.port}", "Connection: close"]
    lines += [*headers, f"Content-Length: {len(body)}", "", body]
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        # The status is enough: waiting for the end would wait for Envoy's delayed close.
        while b"\r\n" not in answer and (chunk := connection.recv(65536)):
            answer += chunk
    return int(answer.split(b" ")[1]) if answer else 0


WALKS = [
    "/subscriptions/{id}/pause",
    "//subscriptions/{id}/pause",
    "/subscriptions//{id}/pause",
    "/x/../subscriptions/{id}/pause",
    "/subscriptions/{id}/pause/",
    "/subscriptions/{id}%2Fpause",
    "/subscriptions/{id}%5cpause",
    "/subscriptions/{id}/pause?",
    "/subscriptions/{id}/pause#x",
    "/%73ubscriptions/{id}/pause",
    "http://127.0.0.1/subscriptions/{id}/pause",
    "http://127.0.0.1//subscriptions/{id}/pause",
    "/tradingtools.v1.ControlService/PauseSubscription",
    "//tradingtools.v1.ControlService/PauseSubscription",
    "/tradingtools.v1.ControlService/PauseSubscription/",
    "/tradingtools.v1.ControlService%2FPauseSubscription",
]
SHAPES: list[tuple[str, ...]] = [
    (),
    ("Content-Type: application/json",),
    ("Content-Type: application/grpc", "TE: trailers"),
    ("Content-Type: application/grpc-web+proto", "TE: trailers"),
    ("TE: trailers",),
    ("X-Envoy-Original-Path: /health",),
    ("X-HTTP-Method-Override: GET",),
    ("x-tt-identity: backend:manage:" + "0" * 64,),
    ("x_tt_identity: backend:manage:" + "0" * 64,),
    ("Authorization: Bearer " + READ,),
]


@pytest.mark.parametrize("walk", WALKS)
def test_no_way_around_the_token(
    edge: RunningEdge, database: Database, wallet: Wallet, walk: str
) -> None:
    """Paths and headers that walked around deny-lists: none pauses without the right token."""
    identifier = create_subscription(edge, wallet())["id"]
    frame = "\x00\x00\x00\x00&\x0a$" + identifier
    target = walk.replace("{id}", identifier)
    before = count(database, "control_change")
    for shape in SHAPES:
        for body in ("", "{}", json.dumps({"id": identifier}), frame):
            status = _raw(edge, target, *shape, body=body)
            # A refused call of gRPC's own kind has its status in its trailers, and a 200.
            assert status in (0, 400, 401, 403, 404) or (status == 200 and "grpc" in str(shape))
    assert count(database, "control_change") == before


@pytest.mark.parametrize("walk", WALKS[-4:])
def test_no_way_to_the_rpcs_own_path_with_a_token(
    edge: RunningEdge, database: Database, wallet: Wallet, walk: str
) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    before = count(database, "control_change")
    for shape in SHAPES[:5]:
        _raw(edge, walk, *shape, f"Authorization: Bearer {MANAGE}", body=f'{{"id":"{identifier}"}}')
    assert count(database, "control_change") == before


@pytest.fixture
def through_edge(edge: RunningEdge) -> Callable[[str, Message], grpc.RpcError]:
    """Makes a native gRPC call on the edge's port with a valid token; returns its error."""

    def call(method: str, request: Message) -> grpc.RpcError:
        with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
            stub: Any = channel.unary_unary(
                method, request_serializer=type(request).SerializeToString
            )
            with pytest.raises(grpc.RpcError) as refused:
                stub(request, metadata=(("authorization", f"Bearer {MANAGE}"),), timeout=60)
            return refused.value

    return call


def test_native_grpc_does_not_pass_the_edge(
    edge: RunningEdge,
    database: Database,
    wallet: Wallet,
    through_edge: Callable[[str, Message], grpc.RpcError],
) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    before = count(database, "control_change"), count(database, "halt")
    requests: list[tuple[str, Message]] = [
        (
            "/tradingtools.v1.ControlService/PauseSubscription",
            control_service_pb2.PauseSubscriptionRequest(id=identifier),
        ),
        ("/tradingtools.v1.ControlService/GetHealth", control_service_pb2.GetHealthRequest()),
        (
            "/tradingtools.v1.OperatorService/SetHalt",
            operator_service_pb2.SetHaltRequest(
                scope=operator_service_pb2.HALT_SCOPE_GLOBAL,
                mode=operator_service_pb2.HALT_MODE_HALTED,
                reason="walked around",
            ),
        ),
        ("/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest()),
        (f"/subscriptions/{identifier}/pause", control_service_pb2.PauseSubscriptionRequest()),
    ]
    for method, request in requests:
        assert through_edge(method, request).code() == grpc.StatusCode.UNIMPLEMENTED, method
    assert (count(database, "control_change"), count(database, "halt")) == before


def test_reflection_does_not_pass_the_edge(edge: RunningEdge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.ServerReflectionInfo(iter([ask]), timeout=60))
        assert refused.value.code() != grpc.StatusCode.OK


def test_a_call_that_walks_around_the_authorization_is_refused(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """Straight at control's edge port, with a seal made up, and with none."""
    identifier = create_subscription(edge, wallet())["id"]
    before = count(database, "control_change")
    with grpc.insecure_channel(f"127.0.0.1:{edge.control_port}") as channel:
        stub = control_service_pb2_grpc.ControlServiceStub(channel)
        attempts: tuple[tuple[tuple[str, str], ...], ...] = (
            (),
            (("x-tt-identity", "backend:manage:" + "0" * 64),),
            (("x-tt-identity", "backend:manage"),),
            (("authorization", f"Bearer {MANAGE}"),),
        )
        for metadata in attempts:
            with pytest.raises(grpc.RpcError) as refused:
                stub.PauseSubscription(
                    control_service_pb2.PauseSubscriptionRequest(id=identifier),
                    metadata=metadata,
                    timeout=60,
                )
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert count(database, "control_change") == before


def _servers(channel: grpc.Channel) -> Any:
    stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
    return stub.GetServers(channelz_pb2.GetServersRequest(), timeout=60)


def test_the_ports_serve_what_they_should(edge: RunningEdge) -> None:
    """Operators have no service on the edge port, the public none on the internal one."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.control_port}") as channel:
        operators = operator_service_pb2_grpc.OperatorServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            operators.ListHalts(operator_service_pb2.ListHaltsRequest(), timeout=60)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as refused:
            next(reflection.ServerReflectionInfo(iter([ask]), timeout=60))
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError) as refused:
            _servers(channel)
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        assert len(_servers(channel).server) == 1
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed = next(stub.ServerReflectionInfo(iter([ask]), timeout=60))
        names = {service.name for service in listed.list_services_response.service}
        assert "tradingtools.v1.OperatorService" in names
        assert "tradingtools.v1.ControlService" not in names
