"""The table of permissions over every port: complete, and what no entry allows runs nowhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from services.control.auth.tokens import authorize, parse_tokens
from tests.control.edge import MANAGE, READ, RunningEdge, StartEdge, digest
from tests.control.requests import create_subscription, error_of
from tests.control.test_contract import _methods, _services
from tradingtools.domain import permissions
from tradingtools.domain.errors import NotAllowed, Unauthenticated
from tradingtools.domain.permissions import (
    EDGE_PORT,
    ENGINE_PORT,
    INSIDE_PORT,
    PERMISSIONS,
    REACH,
    Permission,
)
from tradingtools.rpc.transport import channel, serving
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as pb_grpc

PORTS = (EDGE_PORT, INSIDE_PORT, ENGINE_PORT)
LOOK = "0b" * 32
DECIDE = "0c" * 32
INSIDE = "0d" * 32


def test_every_rpc_has_a_permission_and_no_other_has() -> None:
    assert set(PERMISSIONS) == _methods(_services())


def test_a_service_belongs_to_one_port() -> None:
    for service in _services():
        ports = [
            [port for port in PORTS if PERMISSIONS[method] in port]
            for method in _methods([service])
        ]
        assert all(found == ports[0] and len(found) == 1 for found in ports), service.full_name


def test_what_an_operator_changes_needs_operate() -> None:
    for method, permission in PERMISSIONS.items():
        if permission in (Permission.OBSERVE, Permission.OPERATE):
            looks = re.match("(Get|List|Verify|Query|Preview)", method.rsplit("/", 1)[1])
            assert (looks is not None) == (permission is Permission.OBSERVE), method


@asynccontextmanager
async def _would_run_anything(
    port: frozenset[Permission], ran: list[str]
) -> AsyncIterator[grpc.aio.Channel]:
    """A server as every process has it, with a handler for whatever is asked; a channel to it."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            method = handler_call_details.method
            if not method.startswith("/tradingtools."):
                return None

            async def run(_request: bytes, _context: Any) -> bytes:
                ran.append(method)
                return b""

            return grpc.unary_unary_rpc_method_handler(
                run, request_deserializer=pb.ListHaltsRequest.FromString
            )

    async with (
        serving(
            "127.0.0.1:0",
            [],
            lambda server: server.add_generic_rpc_handlers((Anything(),)),
            permissions=port,
        ) as server,
        channel(f"127.0.0.1:{server.port}") as found,
    ):
        yield found


@pytest.mark.parametrize("port", PORTS, ids=["edge", "inside", "engine"])
async def test_a_port_runs_its_own_rpcs_only(port: frozenset[Permission]) -> None:
    ran: list[str] = []
    unknown = ["/tradingtools.v1.NobodyService/Do", "/tradingtools.v1.OperatorService/Undecided"]
    async with _would_run_anything(port, ran) as there:
        for method in (*PERMISSIONS, *unknown):
            call: Any = there.unary_unary(method)
            if PERMISSIONS.get(method) in port:
                await call(b"", timeout=20)
                continue
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"", timeout=20)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED, method
    assert set(ran) == {method for method, permission in PERMISSIONS.items() if permission in port}


def test_what_is_inside_needs_its_token_always(monkeypatch: pytest.MonkeyPatch) -> None:
    fund = "/tradingtools.v1.SomeService/Fund"
    monkeypatch.setitem(permissions.PERMISSIONS, fund, Permission.INTERNAL)
    halt = "/tradingtools.v1.OperatorService/SetHalt"
    tokens = parse_tokens(f"backend:manage:{digest(MANAGE)},funds:internal:{digest(INSIDE)}")
    assert authorize(tokens, fund, f"Bearer {INSIDE}").id == "funds"
    for header, error in (("", Unauthenticated), (f"Bearer {INSIDE}", NotAllowed)):
        with pytest.raises(error):
            authorize(tokens, halt, header)
    with pytest.raises(Unauthenticated):
        authorize(tokens, fund, "")
    with pytest.raises(NotAllowed):
        authorize(tokens, fund, f"Bearer {MANAGE}")
    more = (*tokens, *parse_tokens(f"ann:observe:{digest(LOOK)}"))
    for header, error in (("", Unauthenticated), (f"Bearer {INSIDE}", NotAllowed)):
        with pytest.raises(error):
            authorize(more, halt, header)


@pytest.fixture(scope="module")
def guarded(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge with a token of every scope."""
    tokens = {
        "backend": ("manage", MANAGE), "viewer": ("read", READ), "ann": ("observe", LOOK),
        "bob": ("operate", DECIDE), "funds": ("internal", INSIDE),
    }  # fmt: skip
    assert {scope for scope, _ in tokens.values()} == set(REACH)
    text = ",".join(f"{name}:{scope}:{digest(token)}" for name, (scope, token) in tokens.items())
    with start_edge("guarded", tokens=text) as running:
        yield running


@pytest.mark.parametrize(
    ("token", "looks", "decides"),
    [
        (None, "UNAUTHENTICATED", "UNAUTHENTICATED"),
        ("c3" * 32, "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (MANAGE, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (READ, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (INSIDE, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (LOOK, "", "PERMISSION_DENIED"),
        (DECIDE, "", ""),
    ],
)
def test_an_operators_token_reaches_so_far(
    guarded: RunningEdge, token: str | None, looks: str, decides: str
) -> None:
    header = () if token is None else (("authorization", f"Bearer {token}"),)

    def call(what: str, request: Any) -> str:
        with grpc.insecure_channel(f"127.0.0.1:{guarded.internal_port}") as there:
            try:
                getattr(pb_grpc.OperatorServiceStub(there), what)(
                    request, metadata=header, timeout=60
                )
            except grpc.RpcError as error:
                return str(error.code().name)
        return ""

    clear = pb.ClearHaltRequest(scope=pb.HALT_SCOPE_GLOBAL)
    assert (call("ListHalts", pb.ListHaltsRequest()), call("ClearHalt", clear)) == (looks, decides)


def test_the_audit_names_the_token_of_an_operator(guarded: RunningEdge) -> None:
    metadata = (("authorization", f"Bearer {DECIDE}"), ("x-tt-operator", "eve"))
    request = pb.SetHaltRequest(
        scope=pb.HALT_SCOPE_MARKET, subject=f"0x{7:064x}", mode=pb.HALT_MODE_HALTED, reason="x"
    )
    about = pb.ListAuditRequest(subject_kind="halt", subject_id=f"MARKET:{request.subject}")
    with grpc.insecure_channel(f"127.0.0.1:{guarded.internal_port}") as there:
        stub = pb_grpc.OperatorServiceStub(there)
        stub.SetHalt(request, metadata=metadata, timeout=60)
        (entry,) = stub.ListAudit(about, metadata=metadata, timeout=60).entries
    assert (entry.actor, entry.source) == ("bob", "grpc: token")


@pytest.mark.parametrize("token", [LOOK, DECIDE, INSIDE])
def test_a_token_of_the_inside_opens_nothing_at_the_edge(
    guarded: RunningEdge, wallet: Callable[[], str], token: str
) -> None:
    made = create_subscription(guarded, wallet())["id"]
    for verb, path in (
        ("GET", f"/subscriptions/{made}"),
        ("POST", f"/subscriptions/{made}/pause"),
        ("GET", "/openapi.json"),
    ):
        assert error_of(guarded.call(verb, path, token)) == (403, "NOT_ALLOWED", {})
    for path in ("/subscriptions/funding", f"/subscriptions/{made}/perf-action"):
        assert error_of(guarded.call("POST", path, token))[:2] == (404, "NOT_FOUND")


def test_a_call_on_the_wrong_port_runs_nothing(guarded: RunningEdge) -> None:
    """Operators' RPCs on the edge port, the public ones on the internal port."""
    decide, manage = (("authorization", f"Bearer {token}") for token in (DECIDE, MANAGE))
    for port, header, method, code in (
        # Who did not come through the gate learns nothing of what there is.
        (
            guarded.control_port,
            decide,
            "/tradingtools.v1.OperatorService/SetHalt",
            grpc.StatusCode.UNAUTHENTICATED,
        ),
        (
            guarded.internal_port,
            manage,
            "/tradingtools.v1.ControlService/CreateSubscription",
            grpc.StatusCode.PERMISSION_DENIED,
        ),
    ):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as there:
            call: Any = there.unary_unary(method)
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", metadata=(header,), timeout=60)
        assert refused.value.code() is code
