"""On a channel for the newest, little waits on the way to a reader that has stopped reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tradingtools.codec.marks import columns
from tradingtools.rpc import transport
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc
from tradingtools.v1 import common_pb2 as common

_MARK = pb.Mark(asset_id="1", **columns([(10**6, 10**12)] * 1_000))
_BYTES = _MARK.ByteSize()
_READ = 300
_LOOKS = 20


class _Prolific(rpc.BookfeedServiceServicer):
    """Has a mark whenever there is room for one."""

    def __init__(self) -> None:
        self.reported = 0

    async def StreamMarks(
        self, request: pb.StreamMarksRequest, context: Any
    ) -> AsyncIterator[pb.StreamMarksResponse]:
        while True:
            self.reported += 1
            yield pb.StreamMarksResponse(marks=[_MARK])

    async def GetBook(self, request: pb.GetBookRequest, context: Any) -> pb.GetBookResponse:
        raise NotImplementedError

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: Any
    ) -> common.AcknowledgeResponse:
        raise NotImplementedError


async def test_a_reader_that_stops_is_not_far_behind() -> None:
    books = _Prolific()

    def register(server: Any) -> None:
        rpc.add_BookfeedServiceServicer_to_server(books, server)

    async with (
        transport.serving("127.0.0.1:0", [], register) as served,
        transport.channel(f"127.0.0.1:{served.port}", newest=True) as channel,
    ):
        stub: Any = rpc.BookfeedServiceStub(channel)
        call = stub.StreamMarks(pb.StreamMarksRequest())
        for _ in range(_READ):
            await call.read()
        # Until nothing more goes.
        before = -1
        for _ in range(_LOOKS):
            if before == books.reported:
                break
            before = books.reported
            await asyncio.sleep(0.05)
        behind = (books.reported - _READ) * _BYTES
        call.cancel()
    assert behind < 200_000, "megabytes have room without it"
