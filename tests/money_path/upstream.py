"""ingest and bookfeed in the test's hands: real gRPC, content from the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from tradingtools.rpc import transport
from tradingtools.rpc.streams import Tail
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.v1 import ingest_service_pb2_grpc as ingest_rpc


async def _nothing(after: int, limit: int) -> list[tuple[int, Any]]:
    return []


class Upstream(ingest_rpc.IngestServiceServicer, books_rpc.BookfeedServiceServicer):
    """Streams whatever the test puts in."""

    def __init__(self) -> None:
        self.trades: Tail[list[ingest_pb.LeaderTradeEvent]] = Tail(0, _nothing)
        self.marks: dict[str, books_pb.Mark] = {}
        self.acknowledged: dict[str, str] = {}
        self.on_acknowledge: Callable[[common.AcknowledgeRequest], Awaitable[None]] | None = None
        self._mark_log: Tail[books_pb.Mark] = Tail(0, _nothing)
        self.port = 0
        self.answers_books = asyncio.Event()
        """Until it is set, who asks for a book waits."""
        self.answers_books.set()
        self.book_requested = asyncio.Event()

    def put_trades(self, events: Sequence[ingest_pb.LeaderTradeEvent]) -> None:
        """Let the routers see facts, in one message."""
        self.trades.append(self.trades.last + 1, list(events))

    def put_mark(self, mark: books_pb.Mark, *, announce: bool = True) -> None:
        """Set an asset's book; unannounced, it is only there for who asks."""
        self.marks[mark.asset_id] = mark
        if announce:
            self._mark_log.append(self._mark_log.last + 1, mark)

    async def StreamLeaderTrades(
        self,
        request: ingest_pb.StreamLeaderTradesRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[ingest_pb.StreamLeaderTradesResponse]:
        async for cursor, batches in self.trades.follow(int(request.cursor or 0)):
            yield ingest_pb.StreamLeaderTradesResponse(
                trades=[event for batch in batches for event in batch], cursor=str(cursor)
            )

    async def StreamMarks(
        self,
        request: books_pb.StreamMarksRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[books_pb.StreamMarksResponse]:
        after = self._mark_log.last
        yield books_pb.StreamMarksResponse(marks=list(self.marks.values()), cursor=str(after))
        async for cursor, marks in self._mark_log.follow(after):
            yield books_pb.StreamMarksResponse(marks=marks, cursor=str(cursor))

    async def GetBook(
        self, request: books_pb.GetBookRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> books_pb.GetBookResponse:
        self.book_requested.set()
        await self.answers_books.wait()
        mark = self.marks.get(request.asset_id)
        if mark is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such asset")
            raise AssertionError
        return books_pb.GetBookResponse(mark=mark)

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        if self.on_acknowledge is not None:
            await self.on_acknowledge(request)
        self.acknowledged[request.consumer] = request.cursor
        return common.AcknowledgeResponse()


@asynccontextmanager
async def serving() -> AsyncIterator[Upstream]:
    """An upstream on a port of its own."""
    upstream = Upstream()

    def register(server: grpc.aio.Server) -> None:
        ingest_rpc.add_IngestServiceServicer_to_server(upstream, server)
        books_rpc.add_BookfeedServiceServicer_to_server(upstream, server)

    async with transport.serving("127.0.0.1:0", [], register) as server:
        upstream.port = server.port
        yield upstream
        await asyncio.sleep(0)
