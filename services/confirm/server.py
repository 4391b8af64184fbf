"""ConfirmService: bookings to guard, router and operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tradingtools.rpc.streams import Tail
from tradingtools.runtime.cursors import Cursors
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.v1 import confirm_service_pb2_grpc as rpc

STREAM = "fills"


class ConfirmServicer(rpc.ConfirmServiceServicer):
    """Serves bookings."""

    def __init__(self, pool: Pool, tail: Tail[pb.FillEvent]) -> None:
        self._cursors = Cursors(pool, STREAM, tail)
        self._tail = tail

    async def StreamFills(
        self, request: pb.StreamFillsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamFillsResponse]:
        """Send bookings after a cursor; see the contract."""
        if request.cursor or request.consumer:
            before = await self._cursors.beginning(request)
        else:
            before = self._tail.last
        async for reached, fills in self._tail.follow(before):
            self._cursors.sent(request, reached)
            yield pb.StreamFillsResponse(fills=fills, cursor=str(reached))

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        """Remember a reader's progress; see the contract."""
        return await self._cursors.acknowledge(request)
