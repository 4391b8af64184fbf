"""A server that is told to end ends its streams at once, and lets its calls finish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import pytest

from tradingtools.domain.errors import Unavailable
from tradingtools.rpc import transport
from tradingtools.rpc.open_streams import OpenStreams
from tradingtools.v1 import common_pb2
from tradingtools.v1 import router_service_pb2 as pb
from tradingtools.v1 import router_service_pb2_grpc as rpc

BOUND_SECONDS = 20.0


class _Router(rpc.RouterServiceServicer):
    """Streams for ever; a call is answered when the test says so."""

    def __init__(self) -> None:
        self.requested, self.answer = asyncio.Event(), asyncio.Event()

    async def StreamOrders(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.StreamOrdersResponse(cursor="1")
        await asyncio.Event().wait()

    async def Acknowledge(self, request: Any, context: Any) -> Any:
        self.requested.set()
        await self.answer.wait()
        return common_pb2.AcknowledgeResponse()

    async def PreviewRoute(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


async def test_streams_end_at_once_and_a_call_under_way_is_answered() -> None:
    router = _Router()
    serving = transport.serving(
        "127.0.0.1:0",
        ["tradingtools.v1.RouterService"],
        lambda server: rpc.add_RouterServiceServicer_to_server(router, server),
        grace_seconds=10 * BOUND_SECONDS,
    )
    server = await serving.__aenter__()
    async with asyncio.timeout(BOUND_SECONDS):
        async with transport.channel(f"127.0.0.1:{server.port}") as channel:
            stub = rpc.RouterServiceStub(channel)
            stream: Any = stub.StreamOrders(pb.StreamOrdersRequest())
            assert (await stream.read()).cursor == "1"
            call: Any = asyncio.ensure_future(
                stub.Acknowledge(common_pb2.AcknowledgeRequest(consumer="executor-0", cursor="1"))
            )
            await router.requested.wait()
            ending = asyncio.ensure_future(serving.__aexit__(None, None, None))
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await stream.read()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            router.answer.set()
            assert await call == common_pb2.AcknowledgeResponse()
            await ending


async def test_a_stream_that_comes_too_late_ends_before_it_begins() -> None:
    streams = OpenStreams()
    streams.end()
    with pytest.raises(Unavailable), streams.one():
        pytest.fail("it began")


async def test_who_gives_a_stream_up_is_not_told_that_the_server_ends() -> None:
    streams = OpenStreams()

    async def serve() -> None:
        with streams.one():
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
