"""The servicer: cursors in, events out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog

from services.ingest.catch_up import CatchUp
from services.ingest.core.sequence import Incarnation, cursor_ms
from services.ingest.publisher import Publisher
from services.ingest.store import Store
from tradingtools.domain import errors
from tradingtools.v1 import common_pb2, ingest_service_pb2, ingest_service_pb2_grpc

_log = structlog.get_logger("ingest")

Context = grpc.aio.ServicerContext[Any, Any]


class IngestServicer(ingest_service_pb2_grpc.IngestServiceServicer):
    """Serves what `Publisher` publishes; remembers named readers only."""

    def __init__(
        self, publisher: Publisher, catch_up: CatchUp, incarnation: Incarnation, store: Store
    ) -> None:
        self._publisher = publisher
        self._catch_up = catch_up
        self._incarnation = incarnation
        self._store = store
        self._sent: dict[str, int] = {}

    async def StreamLeaderTrades(
        self,
        request: ingest_service_pb2.StreamLeaderTradesRequest,
        context: Context,
    ) -> AsyncIterator[ingest_service_pb2.StreamLeaderTradesResponse]:
        """Send trades from the cursor on, for ever."""
        reached = self._publisher.resume(self._incarnation.read(request.cursor))
        if request.consumer:
            self._publisher.reads(request.consumer, reached)
        try:
            async for cursor, trades in self._publisher.tail.follow(reached):
                reached = cursor
                if request.consumer:
                    self._sent[request.consumer] = max(cursor, self._sent.get(request.consumer, 0))
                yield ingest_service_pb2.StreamLeaderTradesResponse(
                    trades=trades, cursor=self._incarnation.write(cursor)
                )
        except errors.CursorOutOfRange:
            if request.consumer:
                # The log has it no more; the Data API still has.
                self._catch_up.look_back(cursor_ms(reached))
            raise
        finally:
            if request.consumer:
                self._publisher.left(request.consumer)

    async def Acknowledge(
        self,
        request: common_pb2.AcknowledgeRequest,
        context: Context,
    ) -> common_pb2.AcknowledgeResponse:
        """Keep a reader's progress, durable soon; what a crash forgets is read again."""
        cursor = self._incarnation.read(request.cursor)
        if not self._publisher.was_sent(cursor, self._sent.get(request.consumer, 0)):
            _log.error("a cursor that was never sent is acknowledged; refused", alert=True,
                       stream="leader_trades", consumer=request.consumer,
                       cursor=request.cursor)  # fmt: skip
            raise errors.InvalidField(
                "cursor: was not sent to this reader", field="cursor", expected="a cursor sent"
            )
        self._publisher.handled(request.consumer, cursor)
        await self._store.acknowledge(request.consumer, request.cursor)
        return common_pb2.AcknowledgeResponse()
