"""Test what gRPC callers may send: any message, any bytes; always a status with ErrorInfo, or
done."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.control.edge import INTERNAL, OPERATE, RunningEdge
from tests.control.requests import Database, count
from tests.control.test_contract import _services
from tradingtools.domain.permissions import INSIDE_PORT, PERMISSIONS, Permission
from tradingtools.v1 import operator_service_pb2 as pb


def _token(method: str) -> tuple[tuple[str, str]]:
    """Of the scope that a call demands."""
    token = INTERNAL if PERMISSIONS[method] is Permission.INTERNAL else OPERATE
    return (("authorization", f"Bearer {token}"),)


"""Opens what is internal; operators need none here."""
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for service in _services()
    for method in service.methods
}
INSIDE = [method for method in METHODS if PERMISSIONS[method] in INSIDE_PORT]
CHANGES = [method for method in INSIDE if PERMISSIONS[method].value != "observe"]
_PLAIN: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=20)
    | st.sampled_from(
        ["", "0" * 64, "0x" + "a" * 40, "sub_" + "0" * 32, "trade 1 on the venue", "\x00"]
    ),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 3),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    FieldDescriptor.TYPE_ENUM: st.integers(-1, 12),
}


@st.composite
def messages(draw: st.DrawFn, method: MethodDescriptor) -> Message:
    """Any request of an RPC, as far as its types allow."""
    return _filled(draw, GetMessageClass(method.input_type)(), 0)


def _filled(draw: st.DrawFn, message: Message, depth: int) -> Message:
    for field in message.DESCRIPTOR.fields:
        if depth > 2 or not draw(st.booleans()):
            continue
        for _ in range(draw(st.integers(1, 3)) if field.is_repeated else 1):
            if field.message_type is not None:
                home = getattr(message, field.name)
                inner = home.add() if field.is_repeated else home
                inner.SetInParent()
                _filled(draw, inner, depth + 1)
                continue
            value = draw(_PLAIN[field.type])
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


def _ask(port: grpc.Channel, method: str, raw: bytes) -> tuple[grpc.StatusCode, str, Any]:
    """Code, reason and metadata; OK and nothing when it was done."""
    call: Any
    if METHODS[method].server_streaming:
        call = port.unary_stream(method)
        done = call(raw, timeout=20, metadata=_token(method))
        with suppress(grpc.RpcError):
            list(done)
    else:
        call = port.unary_unary(method)
        done = call.future(raw, timeout=20, metadata=_token(method))
    if done.code() is grpc.StatusCode.OK:
        return grpc.StatusCode.OK, "", {}
    status = rpc_status.from_call(done)
    assert status is not None, f"{method}: {done.details()}"
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "tradingtools"
    return done.code(), info.reason, info.metadata


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(12, id="short"),
        pytest.param(1000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
@pytest.mark.parametrize("method", INSIDE)
def test_any_message_is_done_or_refused_with_a_reason(
    edge: RunningEdge, method: str, examples: int
) -> None:
    with edge.inside() as port:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(messages(METHODS[method]))
        def judged(request: Message) -> None:
            code, reason, metadata = _ask(port, method, request.SerializeToString())
            assert code not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL), request
            if reason == "INVALID_FIELD":
                assert metadata["field"]
                assert metadata["expected"]

        judged()
        for scope, subject in ((pb.HALT_SCOPE_GLOBAL, ""), (pb.HALT_SCOPE_WALLET, "0x" + "a" * 40)):
            request = pb.ClearHaltRequest(scope=scope, subject=subject)
            _ask(port, "/tradingtools.v1.OperatorService/ClearHalt", request.SerializeToString())


@pytest.mark.parametrize("method", CHANGES)
def test_the_default_message_changes_nothing(
    edge: RunningEdge, database: Database, method: str
) -> None:
    before = count(database, "control_change")
    with edge.inside() as port:
        assert _ask(port, method, b"")[:2] == (
            grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD",
        )  # fmt: skip
    assert count(database, "control_change") == before


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("ListDeadLetters", pb.ListDeadLettersRequest(consumer="\x00"), "consumer"),
        ("SetHalt", pb.SetHaltRequest(
            scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_HALTED, reason="a drill\x00"), "reason"),
        ("ResolveOrder", pb.ResolveOrderRequest(evidence="seen\nthere"), "evidence"),
    ],
)  # fmt: skip
def test_a_text_with_a_control_character_is_refused_as_over_rest(
    edge: RunningEdge, database: Database, method: str, request_: Message, field: str
) -> None:
    before = count(database, "control_change")
    with edge.inside() as port:
        raw = request_.SerializeToString()
        found = _ask(port, f"/tradingtools.v1.OperatorService/{method}", raw)
    expected = {"field": field, "expected": "a string without control characters"}
    assert found == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", expected)
    assert count(database, "control_change") == before


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"{}"])
def test_bytes_that_are_no_message_are_malformed(edge: RunningEdge, raw: bytes) -> None:
    with edge.inside() as port:
        found = _ask(port, "/tradingtools.v1.OperatorService/GetOrder", raw)
    assert found[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_BODY")


@pytest.mark.parametrize(("more", "field"), [
    (b"\xf8\x3f\x01", "1023"), (b"\x2a\x03\xf8\x3f\x01", "filled.1023"),
])  # fmt: skip
def test_a_field_that_the_call_does_not_have_is_refused(
    edge: RunningEdge, more: bytes, field: str
) -> None:
    raw = pb.ResolveOrderRequest(order_key="0" * 64).SerializeToString() + more
    with edge.inside() as port:
        code, reason, metadata = _ask(port, "/tradingtools.v1.OperatorService/ResolveOrder", raw)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_FIELD")
    assert metadata["field"] == field
