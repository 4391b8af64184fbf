"""Test that who forges a cursor makes no reader pass over what it has not handled."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg.types.json import Jsonb

from tests.money_path.world import SERVICES, World, eventually
from tradingtools.rpc import callers
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import executor_service_pb2 as executor_pb
from tradingtools.v1 import guard_service_pb2 as guard_pb
from tradingtools.v1 import router_service_pb2 as router_pb
from tradingtools.v1.confirm_service_pb2_grpc import ConfirmServiceStub
from tradingtools.v1.executor_service_pb2_grpc import ExecutorServiceStub
from tradingtools.v1.guard_service_pb2_grpc import GuardServiceStub
from tradingtools.v1.router_service_pb2_grpc import RouterServiceStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAR = "9" * 19
PORTS: dict[str, tuple[Any, str, Any]] = {
    "router": (RouterServiceStub, "executor-0", router_pb.StreamOrdersRequest),
    "guard": (GuardServiceStub, "executor-0", guard_pb.StreamExitsRequest),
    "executor": (ExecutorServiceStub, "confirm-0", executor_pb.StreamOrderEventsRequest),
    "confirm": (ConfirmServiceStub, "guard-0", confirm_pb.StreamFillsRequest),
}
STREAMS = {
    "router": "StreamOrders", "guard": "StreamExits", "executor": "StreamOrderEvents",
    "confirm": "StreamFills",
}  # fmt: skip


def _cursors(world: World) -> dict[tuple[str, str], str]:
    rows = world.sql("select stream, consumer, cursor from consumer_cursor")
    return {(row["stream"], row["consumer"]): row["cursor"] for row in rows}


async def _reported(call: Any) -> str:
    """Return how a server answers, by the code; OK: it takes the call."""
    try:
        await (call.read() if hasattr(call, "read") else call)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    finally:
        call.cancel()
    return "OK"


async def _ready(world: World) -> None:
    for name in SERVICES:

        async def serves(name: str = name) -> bool:
            async with grpc.aio.insecure_channel(world.target(name)) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                return await _reported(stub.Check(health_pb2.HealthCheckRequest())) == "OK"

        await eventually(serves)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_stranger_acknowledges_and_reads_nothing(running: World, name: str) -> None:
    await _ready(running)
    make, reader, request = PORTS[name]
    shown: dict[str, tuple[tuple[str, str], ...]] = {
        "nothing": (),
        "a token of nobody's": ((callers.HEADER, "0" * 64),),
        "two": ((callers.HEADER, "0" * 64), (callers.HEADER, "1" * 64)),
    }
    async with grpc.aio.insecure_channel(running.target(name)) as channel:
        stub = make(channel)
        for metadata in shown.values():
            forged = common.AcknowledgeRequest(consumer=reader, cursor=FAR)
            assert await _reported(stub.Acknowledge(forged, metadata=metadata)) == "UNAUTHENTICATED"
            stream = getattr(stub, STREAMS[name])
            requested = stream(request(consumer=reader), metadata=metadata)
            assert await _reported(requested) == "UNAUTHENTICATED"
    assert FAR not in _cursors(running).values()


@pytest.mark.parametrize("name", SERVICES)
async def test_cursor_of_another_process_is_refused(running: World, name: str) -> None:
    await _ready(running)
    make, reader, request = PORTS[name]
    async with running.channel(name, "insiders") as channel:
        stub = make(channel)
        forged = common.AcknowledgeRequest(consumer="insiders", cursor="0")
        assert await _reported(stub.Acknowledge(forged)) == "PERMISSION_DENIED"
    async with running.channel(name) as channel:
        stub = make(channel)
        for consumer in (reader, f"{reader}0", "guard-00000", "router-x"):
            forged = common.AcknowledgeRequest(consumer=consumer, cursor="0")
            assert await _reported(stub.Acknowledge(forged)) == "PERMISSION_DENIED"
            requested = getattr(stub, STREAMS[name])(request(consumer=consumer))
            assert await _reported(requested) == "PERMISSION_DENIED"


@pytest.mark.parametrize("name", SERVICES)
async def test_a_reader_does_not_acknowledge_what_it_was_not_sent(
    running: World, name: str
) -> None:
    await _ready(running)
    make, reader, _ = PORTS[name]
    async with running.channel(name, reader.partition("-")[0]) as channel:
        forged = common.AcknowledgeRequest(consumer=reader, cursor=FAR)
        assert await _reported(make(channel).Acknowledge(forged)) == "INVALID_ARGUMENT"
    assert FAR not in _cursors(running).values()


async def test_forged_cursor_makes_no_guard_skip_a_booking(
    running: World,
) -> None:
    """As an earlier version took it: bookings that come while the guard is away are guarded."""
    await _ready(running)
    scene = running.scene()
    await scene.set_book({"0.5": "1000"}, {"0.49": "1000"})
    # Of triggers that stand already, guard knows without a booking; these begin with one.
    await scene.subscribe(1, triggers=Jsonb({"stop_loss_ppm": 100_000}))
    running.kill("guard")
    running.sql(
        "insert into consumer_cursor (stream, consumer, cursor) values ('fills', 'guard-0', %s)"
        " on conflict (stream, consumer) do update set cursor = excluded.cursor",
        FAR,
    )
    running.start("guard")
    await _ready(running)
    await scene.put_when_copied(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    await scene.set_book({"0.42": "1000"}, {"0.41": "1000"})

    async def sold() -> bool:
        return any(order["side"] == "SELL" for order in scene.orders())

    await eventually(sold)
    assert int(_cursors(running)["fills", "guard-0"]) < int(FAR)
    said = (running.directory / "confirm.log").read_text()
    assert "an acknowledged cursor is beyond all that was sent" in said
