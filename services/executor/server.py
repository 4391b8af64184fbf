"""ExecutorService: order events to confirm and operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tradingtools.rpc.streams import Tail
from tradingtools.runtime.cursors import Cursors
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import executor_service_pb2 as pb
from tradingtools.v1 import executor_service_pb2_grpc as rpc

STREAM = "order_events"


class ExecutorServicer(rpc.ExecutorServiceServicer):
    """Serves stored transitions."""

    def __init__(self, pool: Pool, tail: Tail[pb.OrderEvent]) -> None:
        self._cursors = Cursors(pool, STREAM, tail)
        self._tail = tail

    async def StreamOrderEvents(
        self, request: pb.StreamOrderEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamOrderEventsResponse]:
        """Stream events after a cursor; see the contract."""
        before = await self._cursors.beginning(request)
        async for after, events in self._tail.follow(before):
            self._cursors.sent(request, after)
            yield pb.StreamOrderEventsResponse(events=events, cursor=str(after))

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        """Remember a reader's progress; see the contract."""
        return await self._cursors.acknowledge(request)
