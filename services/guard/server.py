"""GuardService: claimed exits to executors and operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tradingtools.rpc.streams import Tail
from tradingtools.runtime.claim_tail import messages
from tradingtools.runtime.cursors import Cursors
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import guard_service_pb2 as pb
from tradingtools.v1 import guard_service_pb2_grpc as rpc

STREAM = "exits"


class GuardServicer(rpc.GuardServiceServicer):
    """Serves one partition's exits."""

    def __init__(self, pool: Pool, tail: Tail[common.OrderBatch]) -> None:
        self._cursors = Cursors(pool, STREAM, tail, newest=journal.newest)
        self._tail = tail

    async def StreamExits(
        self, request: pb.StreamExitsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamExitsResponse]:
        """Send exits after a cursor; see the contract."""
        before = await self._cursors.beginning(request)
        async for after, batches in self._tail.follow(before):
            for reached, together in messages(before, batches):
                self._cursors.sent(request, reached)
                yield pb.StreamExitsResponse(batches=together, cursor=str(reached))
            if not batches:
                yield pb.StreamExitsResponse(cursor=str(after))
            before = after

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        """Remember a reader's progress; see the contract."""
        return await self._cursors.acknowledge(request)
