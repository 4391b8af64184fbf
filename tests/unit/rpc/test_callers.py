"""Test who may call a port of the engine, by certificate, and when a port does not open at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import structlog

from tests.money_path.world import eventually
from tests.support.certificates import Authority
from tradingtools.domain.permissions import CALLERS, PERMISSIONS, Permission, may_call
from tradingtools.rpc import callers, streams, tls
from tradingtools.rpc.transport import channel, serving
from tradingtools.settings import SettingError, SharedSettings, load
from tradingtools.v1 import common_pb2, confirm_service_pb2
from tradingtools.v1 import confirm_service_pb2_grpc as rpc

TOKEN = "ab" * 32
DIGEST = "cd" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    shared: SharedSettings = field(default_factory=SharedSettings)


def _shared(**settings: str) -> SharedSettings:
    return load(_Process, "test", settings).shared


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(callers, "_process", type(callers._process)())
    yield
    tls.use(SharedSettings())


class _Confirm(rpc.ConfirmServiceServicer):
    async def StreamFills(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield confirm_service_pb2.StreamFillsResponse()

    async def Acknowledge(self, request: Any, context: Any) -> Any:
        return common_pb2.AcknowledgeResponse()


async def _acknowledges(server: SharedSettings, caller: SharedSettings, consumer: str) -> str:
    """Return how confirm answers a caller's acknowledgement, by the code."""
    tls.use(server)
    callers.use(server)
    async with serving(
        "127.0.0.1:0", [], lambda s: rpc.add_ConfirmServiceServicer_to_server(_Confirm(), s)
    ) as started:
        tls.use(caller)
        there = channel(f"127.0.0.1:{started.port}")
        tls.use(server)
        async with there:
            stub: Any = rpc.ConfirmServiceStub(there)
            request = common_pb2.AcknowledgeRequest(consumer=consumer, cursor="1")
            try:
                await stub.Acknowledge(request, timeout=20)
            except grpc.aio.AioRpcError as error:
                return str(error.code().name)
    return "OK"


@pytest.mark.parametrize(
    ("name", "hosts", "consumer", "code"),
    [
        ("guard", (), "guard-0", "OK"),
        ("guard-3", (), "guard-3", "OK"),
        ("g", ("guard.example.org",), "guard-0", "OK"),
        ("g", ("router.example.org", "guard.example.org"), "guard-0", "OK"),
        ("guard", (), "router-0", "PERMISSION_DENIED"),
        ("executor", (), "executor-0", "PERMISSION_DENIED"),
        ("executor", (), "guard-0", "PERMISSION_DENIED"),
        ("shared", ("example.org",), "guard-0", "PERMISSION_DENIED"),
        ("x.guard", ("x.guard.example.org",), "guard-0", "PERMISSION_DENIED"),
        ("127", (), "guard-0", "UNAUTHENTICATED"),
    ],
)
async def test_a_certificate_names_the_process(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    hosts: tuple[str, ...],
    consumer: str,
    code: str,
) -> None:
    ours = Authority(tmp_path_factory.mktemp("ours"))
    server = _shared(**ours.settings("confirm"))
    caller = _shared(**ours.settings(name, *hosts))
    assert await _acknowledges(server, caller, consumer) == code


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0"])
async def test_a_port_that_would_believe_anybody_does_not_open(listen: str) -> None:
    callers.use(_shared(TT_PLAINTEXT="true"))
    tls.use(_shared(TT_PLAINTEXT="true"))
    with pytest.raises(SettingError, match="TT_ENGINE_CALLERS: required and not set"):
        async with serving(listen, [], lambda _: None):
            pass
    callers.use(_shared(TT_ENGINE_OPEN="true"))
    if listen.startswith("127."):
        async with serving(listen, [], lambda _: None):
            pass
        return
    with pytest.raises(SettingError, match=r"TT_ENGINE_OPEN: .* reachable from other machines"):
        async with serving(listen, [], lambda _: None):
            pass


@pytest.mark.parametrize(
    "given",
    ["router", f"Router:{DIGEST}", "router:xyz", f"router:{DIGEST},router:{DIGEST}", f":{DIGEST}"],
)
def test_a_malformed_list_of_callers_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match="TT_ENGINE_CALLERS") as refused:
        callers.use(_shared(TT_ENGINE_CALLERS=given))
    assert DIGEST not in str(refused.value)


def test_a_malformed_token_is_refused_and_not_told() -> None:
    with pytest.raises(SettingError, match="TT_ENGINE_TOKEN") as refused:
        callers.use(_shared(TT_ENGINE_TOKEN="secret"))
    assert "secret" not in str(refused.value)
    callers.use(_shared(TT_ENGINE_TOKEN=TOKEN))
    assert TOKEN not in repr(callers._process)


def test_each_service_of_the_engine_says_who_may_call_it() -> None:
    services = {
        method[1:].partition("/")[0]
        for method, needed in PERMISSIONS.items()
        if needed is Permission.ENGINE
    }
    # Beside them, what other processes have at the edge: Envoy alone calls that.
    assert set(CALLERS) - services == {
        f"tradingtools.v1.{name}" for name in ("EventFeedService", "WebhookService")
    }
    assert services <= set(CALLERS)
    assert not any(may_call("stranger", method) for method in PERMISSIONS)


async def test_refused_reader_is_logged_and_goes_on_once_admitted() -> None:
    """Without it a guard would have no bookings, and say nothing."""
    guard = _shared(TT_ENGINE_TOKEN=TOKEN)
    known = hashlib.sha256(TOKEN.encode()).hexdigest()
    callers.use(_shared(TT_ENGINE_CALLERS=f"guard:{DIGEST}"))
    async with serving(
        "127.0.0.1:0", [], lambda s: rpc.add_ConfirmServiceServicer_to_server(_Confirm(), s)
    ) as started:
        callers.use(guard)
        async with channel(f"127.0.0.1:{started.port}") as there:
            callers.use(_shared(TT_ENGINE_CALLERS=f"guard:{DIGEST}"))
            stub: Any = rpc.ConfirmServiceStub(there)
            reading: Any = streams.read(
                "fills",
                lambda cursor: stub.StreamFills(
                    confirm_service_pb2.StreamFillsRequest(cursor=cursor, consumer="guard-0")
                ),
                "0",
                retry_seconds=0.01,
            )
            with structlog.testing.capture_logs() as lines:
                first = asyncio.ensure_future(anext(reading))

                async def reported() -> bool:
                    return bool(lines)

                await eventually(reported)
                assert not first.done()
                callers.use(_shared(TT_ENGINE_CALLERS=f"guard:{known}"))
                async with asyncio.timeout(60):
                    await first
            await reading.aclose()
    alerts = [line for line in lines if line["event"].startswith("a stream refuses")]
    assert [(line["alert"], line["code"]) for line in alerts] == [(True, "UNAUTHENTICATED")]
