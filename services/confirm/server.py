"""ConfirmService: bookings to guard, router, perfmon and operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.errors import InvalidField
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.v1 import confirm_service_pb2_grpc as rpc

STREAM = "fills"


class ConfirmServicer(rpc.ConfirmServiceServicer):
    """Serves bookings."""

    def __init__(self, pool: Pool, tail: Tail[pb.FillEvent]) -> None:
        self._pool = pool
        self._tail = tail

    async def StreamFills(
        self, request: pb.StreamFillsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamFillsResponse]:
        """Bookings after a cursor; see the contract."""
        cursor = request.cursor
        if not cursor and request.consumer:
            cursor = await journal.acknowledged(self._pool, STREAM, request.consumer) or "0"
        after = int(cursor) if cursor else self._tail.last
        async for reached, fills in self._tail.follow(after):
            yield pb.StreamFillsResponse(fills=fills, cursor=str(reached))

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        """Remember a reader's progress; see the contract."""
        if not request.cursor.isdigit():
            raise InvalidField("cursor: expected a number", field="cursor", expected="a number")
        await journal.acknowledge(self._pool, STREAM, request.consumer, request.cursor)
        return common.AcknowledgeResponse()
