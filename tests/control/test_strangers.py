"""Callers without a token on the internal port: counted by address, refused alike."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import structlog

from services.control.auth.interceptor import MAX_HELD, TokenInterceptor
from services.control.auth.rate_limiter import Limiter, Rates, network
from services.control.auth.tokens import parse_tokens
from services.control.users.people import People
from tests.control.edge import OPERATE, TOKENS, RunningEdge, StartEdge
from tests.control.requests import error_of
from tradingtools.domain.errors import LimitReached, Unauthenticated
from tradingtools.rpc.admission import address_of
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as rpc

MAX_CONCURRENT_STREAMS = 3
"""The setting's number in HTTP/2."""
HALT = "/tradingtools.v1.OperatorService/SetHalt"
WRONG = (("authorization", "Bearer " + "e5" * 32),)
GOOD = pb.SetHaltRequest(
    scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_HALTED, reason="a stranger is here"
)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:4000", "10.1.2.3"), ("ipv6:%5B2001:db8::7%5D:4000", "2001:db8::7"),
        ("ipv6:[::ffff:10.1.2.3]:4000", "::ffff:10.1.2.3"), ("unix:/tmp/x", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_peer_has_an_address(peer: str, address: str) -> None:
    assert address_of(peer) == address


def test_an_address_of_ipv4_is_one_on_a_socket_for_both() -> None:
    assert network("::ffff:10.1.2.3") == network("10.1.2.3") != network("::ffff:10.1.2.4")


def test_one_address_takes_no_others_answers_or_log_lines() -> None:
    port = TokenInterceptor(
        parse_tokens(TOKENS), Limiter(Rates(token=5, address=5, refused=5)), People(None, None)
    )
    with structlog.testing.capture_logs() as lines:
        reported = [
            port.refused(Unauthenticated("no"), HALT, WRONG, "192.0.2.1").reason
            for _ in range(1000)
        ]
        other = port.refused(Unauthenticated("no"), HALT, WRONG, "192.0.2.2").reason
    assert set(reported) == {"UNAUTHENTICATED", "LIMIT_REACHED"}
    assert reported.count("UNAUTHENTICATED") < 100
    assert other == "UNAUTHENTICATED"
    assert len([line for line in lines if line["address"] == "192.0.2.1"]) < 100
    assert len([line for line in lines if line["address"] == "192.0.2.2"]) == 1


async def test_frequent_caller_waits_and_only_so_many_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = TokenInterceptor(
        parse_tokens(TOKENS), Limiter(Rates(token=5, address=5, refused=5)), People(None, None)
    )
    held, go, slept = 0, asyncio.Event(), asyncio.sleep

    async def sleep(_seconds: float) -> None:
        nonlocal held
        held += 1
        await go.wait()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await port.delay(Unauthenticated("no"))
    calls = [
        asyncio.ensure_future(port.delay(LimitReached("too many requests")))
        for _ in range(MAX_HELD + 100)
    ]
    await slept(0)
    assert held == MAX_HELD
    assert sum(call.done() for call in calls) == 100
    go.set()
    await asyncio.gather(*calls)


@pytest.fixture(scope="module")
def strict(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge whose ports soon have enough of strangers."""
    with start_edge("strangers", refused_rate="5") as running:
        yield running


def _refused(channel: grpc.Channel, metadata: Any = WRONG) -> grpc.StatusCode:
    call: Any = channel.unary_unary(HALT)
    with pytest.raises(grpc.RpcError) as refused:
        call(b"", metadata=metadata, timeout=60, wait_for_ready=True)
    code: grpc.StatusCode = refused.value.code()
    return code


def test_halts_are_answered_while_a_stranger_floods_the_port(strict: RunningEdge) -> None:
    """From the same address: what he has used up is the allowance of who has no token."""
    ended, reported = threading.Event(), set()

    def flood() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{strict.internal_port}") as channel:
            while not ended.is_set():
                reported.add(_refused(channel))

    strangers = [threading.Thread(target=flood) for _ in range(3)]
    for stranger in strangers:
        stranger.start()
    try:
        with strict.inside() as port:
            operators = rpc.OperatorServiceStub(port)
            for _ in range(20):
                assert operators.SetHalt(GOOD, timeout=60).halt.reason == GOOD.reason
    finally:
        ended.set()
        for stranger in strangers:
            stranger.join()
    assert reported <= {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    with grpc.insecure_channel(f"127.0.0.1:{strict.internal_port}") as channel:
        while _refused(channel) is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            pass
    strict.logs("address=127.0.0.1")
    assert "address=unknown" not in strict.log.read_text()


def test_a_connection_has_few_calls_at_once(edge: RunningEdge) -> None:
    """A halt on another one waits behind so many, and not behind 500 that are to be refused."""
    with socket.create_connection(("127.0.0.1", edge.internal_port), timeout=60) as one:
        one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        received = one.makefile("rb")
        length, kind = int.from_bytes(received.read(3)), received.read(6)[0]
        settings = received.read(length)
        received.close()
    assert kind == 4, "a server's settings come first"
    said = dict(struct.iter_unpack(">HI", settings))
    assert said[MAX_CONCURRENT_STREAMS] <= 16


async def test_an_operator_s_many_calls_at_once_are_all_answered(edge: RunningEdge) -> None:
    """His client keeps to the bound: those beyond it wait there."""
    shown = (("authorization", f"Bearer {OPERATE}"),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.internal_port}") as port:
        stub: Any = rpc.OperatorServiceStub(port)
        request = pb.ListHaltsRequest()
        calls = [stub.ListHalts(request, metadata=shown, timeout=60) for _ in range(200)]
        assert len(await asyncio.gather(*calls)) == 200


def test_a_stranger_is_refused_before_his_request_has_come(edge: RunningEdge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        call: Any = channel.stream_unary(HALT)
        never = threading.Event()

        def silence() -> Iterator[bytes]:
            never.wait(60)
            yield b""

        answer = call.future(silence(), metadata=WRONG, timeout=60)
        try:
            assert answer.code() is grpc.StatusCode.UNAUTHENTICATED
        finally:
            never.set()


def test_a_refused_seal_is_told_what_a_refused_token_is(edge: RunningEdge) -> None:
    with_none = edge.call("GET", "/subscriptions/sub_" + "0" * 32, None)
    assert error_of(with_none)[:2] == (401, "UNAUTHENTICATED")
    sentences = {with_none.json()["message"]}
    call: Any
    with grpc.insecure_channel(f"127.0.0.1:{edge.control_port}") as channel:
        call = channel.unary_unary("/tradingtools.v1.ControlService/PauseSubscription")
        request = control.PauseSubscriptionRequest(id="sub_" + "0" * 32).SerializeToString()
        for seal in ((), (("x-tt-identity", "backend:manage::1:" + "0" * 64),)):
            with pytest.raises(grpc.RpcError) as refused:
                call(request, metadata=seal, timeout=60)
            sentences.add(refused.value.details())
    assert len(sentences) == 1
    edge.logs("a call without one seal")
    edge.logs("the seal is not ours")
